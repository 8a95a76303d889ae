"""`geartrain module`: where the server module is."""

from __future__ import annotations

import click

from geartrain.errors import NeedsModule

NOT_YET = (
    "this version of Geartrain has no server module: mode='sync', snapshot=True, atomic() and lossless key events come"
    " with it in a later version; streams, and key events by keyspace notifications, work without it"
)


@click.command(name="module")
def command() -> None:
    """Print the path of the server module, for the server's `loadmodule` setting."""
    raise NeedsModule(NOT_YET)
