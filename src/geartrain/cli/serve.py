"""`geartrain serve`: the embedded server alone, until it is stopped."""

from __future__ import annotations

from pathlib import Path

import click

from geartrain.cli.embedded import server_options, start_server
from geartrain.cli.interrupts import Interrupts
from geartrain.cli.output import note
from geartrain.config import URL_VARIABLE
from geartrain.errors import GeartrainError

_LOOK = 0.5
"""Seconds between two looks at the server's process."""


@click.command(name="serve")
@server_options
def command(port: int | None, directory: Path | None, module: bool) -> None:
    """Start the embedded server and print its URL; Ctrl-C stops it.

    It listens on 127.0.0.1 only, and is meant for development.
    """
    with Interrupts() as interrupts, start_server(port, directory, module) as server:
        note(f"for the other commands: export {URL_VARIABLE}={server.url}")
        click.echo("ready")
        while not interrupts.wait(_LOOK):
            if not server.running:
                raise GeartrainError(f"the server has ended by itself; its log is {server.log_path}")
    note("stopped")
