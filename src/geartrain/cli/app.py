"""The command `geartrain`: its subcommands, each in a module of its own that is imported when it is needed.

A module of this package that is named in `MODULES` holds a click command named `command`. `ls` and `show` are in the
same way in `ls.py` and `show.py`.
"""

from __future__ import annotations

import importlib

import click

from geartrain import __version__

MODULES = {
    "run": "run",
    "serve": "serve",
    "worker": "worker",
    "register": "register",
    "ls": "ls",
    "show": "show",
    "pause": "pause",
    "resume": "resume",
    "unregister": "unregister",
    "exec": "execute",
    "module": "module",
    "doctor": "doctor",
}
"""Subcommand -> module, in the order in which `geartrain --help` shows them."""


class _Subcommands(click.Group):
    """Imports a subcommand's module when it is asked for: the others cost no time."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All names, in their order."""
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """The subcommand of that name, or None."""
        if cmd_name not in MODULES:
            return None
        module = importlib.import_module(f"geartrain.cli.{MODULES[cmd_name]}")
        command: click.Command = module.command
        return command


@click.group(cls=_Subcommands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, message="geartrain %(version)s")
def app() -> None:
    """Run Python functions on data at the moment it arrives in Redis or Valkey.

    Exit codes: 0 done, 1 failed, 2 wrong use, 3 server not reachable, 130 interrupted.
    """
