"""`geartrain pause`: stop a registration for a while."""

from __future__ import annotations

import click

from geartrain.cli.options import url_option
from geartrain.client import Client


@click.command(name="pause")
@click.argument("registration", metavar="ID")
@url_option()
def command(registration: str, url: str | None) -> None:
    """Stop a registration after its running executions; it keeps its place in every stream.

    ID is its id, or a part of it that no other id has.
    """
    with Client(url) as client:
        found = client.find(registration)
        client.pause(found)
    click.echo(f"paused {found}")
