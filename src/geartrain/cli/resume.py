"""`geartrain resume`: let a registration go on."""

from __future__ import annotations

import click

from geartrain.cli.options import url_option
from geartrain.client import Client


@click.command(name="resume")
@click.argument("registration", metavar="ID")
@url_option()
def command(registration: str, url: str | None) -> None:
    """Let a paused or aborted registration go on where it stopped.

    ID is its id, or a part of it that no other id has.
    """
    with Client(url) as client:
        found = client.find(registration)
        client.resume(found)
    click.echo(f"resumed {found}")
