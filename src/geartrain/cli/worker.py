"""`geartrain worker`: worker processes for a server, until they are stopped."""

from __future__ import annotations

from dataclasses import replace

import click

from geartrain.cli.interrupts import Interrupts
from geartrain.cli.options import url_option
from geartrain.cli.output import note
from geartrain.cli.supervising import attend
from geartrain.cli.tuning import processes_option, settings_options
from geartrain.client import Client
from geartrain.config import WorkerSettings
from geartrain.wire import access
from geartrain.worker.local import nodes_beside
from geartrain.worker.supervisor import Supervisor


@click.command(name="worker")
@url_option()
@processes_option
@click.option(
    "--local", metavar="URL", help="A node of a cluster: only streams of its shard are taken. Without --url the server."
)
@settings_options
def command(url: str | None, processes: int, local: str | None, settings: WorkerSettings) -> None:
    """Run worker processes that execute the server's registrations; Ctrl-C stops them in good order.

    Any number of these commands, on any number of machines, share the work. A process that dies is started again.
    """
    endpoint = Client(url or local).endpoint
    # A wrong address is an error now; a server that goes away later is waited for.
    with access(endpoint) as link:
        link.call("PING")
        if local is not None:
            settings = replace(settings, local=nodes_beside(endpoint, local))
    shard = f", streams of {settings.local.split(',')[0]}'s shard only," if local is not None else ""
    click.echo(f"working for {endpoint.shown}{shard} with {processes} {'process' if processes == 1 else 'processes'}")
    with Interrupts() as interrupts:
        supervisor = Supervisor(endpoint.url, processes, settings, on_event=lambda event: note(str(event)))
        attend(supervisor, interrupts, lambda: click.echo("ready"), _nothing)
    note("stopped")


def _nothing() -> None:
    """There is nothing to look at."""
