"""`geartrain worker`: worker processes for a server, until they are stopped."""

from __future__ import annotations

import click

from geartrain.cli.interrupts import Interrupts
from geartrain.cli.options import url_option
from geartrain.cli.output import note
from geartrain.cli.supervising import attend
from geartrain.cli.tuning import processes_option, settings_options
from geartrain.client import Client
from geartrain.config import WorkerSettings
from geartrain.wire import access
from geartrain.worker.supervisor import Supervisor


@click.command(name="worker")
@url_option()
@processes_option
@settings_options
def command(url: str | None, processes: int, settings: WorkerSettings) -> None:
    """Run worker processes that execute the server's registrations; Ctrl-C stops them in good order.

    Any number of these commands, on any number of machines, share the work. A process that dies is started again.
    """
    endpoint = Client(url).endpoint
    # A wrong address is an error now; a server that goes away later is waited for.
    with access(endpoint) as link:
        link.call("PING")
    click.echo(f"working for {endpoint.shown} with {processes} {'process' if processes == 1 else 'processes'}")
    with Interrupts() as interrupts:
        supervisor = Supervisor(endpoint.url, processes, settings, on_event=lambda event: note(str(event)))
        attend(supervisor, interrupts, lambda: click.echo("ready"), _nothing)
    note("stopped")


def _nothing() -> None:
    """There is nothing to look at."""
