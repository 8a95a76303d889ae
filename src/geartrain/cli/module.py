"""`geartrain module`: where the server module is."""

from __future__ import annotations

import click

from geartrain.server import find_module, load_line


@click.command(name="module")
@click.option("--loadmodule", "as_line", is_flag=True, help="Print the whole line for the server's configuration file.")
def command(as_line: bool) -> None:
    """Print the path of the server module, for the server's `loadmodule` setting.

    docs/howto/install-the-module.md says what else a server needs.
    """
    module = find_module()
    click.echo(load_line(module) if as_line else str(module))
