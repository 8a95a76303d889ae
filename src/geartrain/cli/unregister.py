"""`geartrain unregister`: remove registrations."""

from __future__ import annotations

import click

from geartrain.cli.options import url_option
from geartrain.client import Client


@click.command(name="unregister")
@click.argument("registration", metavar="ID", required=False)
@click.option("--session", metavar="NAME", help="Remove all registrations of this session.")
@url_option()
def command(registration: str | None, session: str | None, url: str | None) -> None:
    """Remove a registration with what it left: consumer groups, leases, statistics.

    ID is its id, or a part of it that no other id has.
    """
    if (registration is None) == (session is None):
        raise click.UsageError("Give either ID or --session NAME.")
    with Client(url) as client:
        if session is not None:
            removed = client.unregister_session(session)
        else:
            removed = [client.find(registration or "")]
            client.unregister(removed[0])
    for item in removed:
        click.echo(f"removed {item}")
