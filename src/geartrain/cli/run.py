"""`geartrain run`: a script with everything that it needs, until it is stopped."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import click
from click.core import ParameterSource

from geartrain.cli.displays import Display, make_display
from geartrain.cli.embedded import server_options, start_server
from geartrain.cli.interrupts import Interrupts
from geartrain.cli.options import dialect_option, requirements_options, session_option, url_option
from geartrain.cli.output import note
from geartrain.cli.plain import line
from geartrain.cli.scripting import script_output, tell_submitted, warn
from geartrain.cli.supervising import attend
from geartrain.cli.tuning import processes_option, replication_options
from geartrain.cli.watching import News, Rates
from geartrain.client import Client, Outcome
from geartrain.config import Dialect, WorkerSettings
from geartrain.errors import GeartrainError
from geartrain.server import EmbeddedServer
from geartrain.worker.supervisor import Supervisor

_STATUS = 1.0
"""Seconds between two looks at the registrations."""


@click.command(name="run")
@click.argument("script", type=click.Path(exists=True, dir_okay=False))
@url_option("The server. [default: $GEARTRAIN_URL, or an embedded server]")
@server_options
@processes_option
@replication_options
@session_option()
@dialect_option()
@requirements_options
@click.pass_context
def command(
    context: click.Context,
    script: str,
    url: str | None,
    port: int | None,
    directory: Path | None,
    module: bool,
    processes: int,
    settings: WorkerSettings,
    session: str | None,
    dialect: Dialect,
    requirements: list[str],
    reinstall: bool,
) -> None:
    """Register SCRIPT, run workers for it, and show how it fares; Ctrl-C stops it in good order.

    Without a URL an embedded server is started. With one, the registrations stay when this ends, as after `geartrain
    register`.
    """
    if port is not None or directory is not None or not module:
        if context.get_parameter_source("url") is ParameterSource.COMMANDLINE:
            what = "--port, --dir and --no-module are of the embedded server: they cannot be given with --url."
            raise click.UsageError(what)
        url = None
    with ExitStack() as stack:
        server = None if url else stack.enter_context(start_server(port, directory, module))
        client = stack.enter_context(Client(server.url if server else url))
        with script_output(as_json=False):
            outcome = client.submit_file(script, session, dialect, requirements=requirements, reinstall=reinstall)
        _tell(outcome)
        if not outcome.registered and not client.registrations():
            note(f"{script} registers nothing: there is nothing to wait for")
            return
        _Run(client, server, processes, settings).until_stopped()
    note(_closing(outcome, server, client))


def _tell(outcome: Outcome) -> None:
    """Results of `run()`, what was registered, and warnings."""
    for result in outcome.results:
        click.echo(line(result))
    warn(outcome)
    tell_submitted(outcome)


def _closing(outcome: Outcome, server: EmbeddedServer | None, client: Client) -> str:
    if server is None:
        return (
            f"stopped; the registrations stay on {client.endpoint.shown}: `geartrain worker` goes on with them,"
            f" `geartrain unregister --session {outcome.session}` removes them"
        )
    if server.persistent:
        return f"stopped; data and registrations are kept in {server.directory}"
    return "stopped; the server's data are gone"


class _Run:
    """Workers, and a display of what they do.

    Args:
        client: of the server.
        server: the embedded one, or None.
        processes: workers to run.
        settings: of the workers.
    """

    def __init__(self, client: Client, server: EmbeddedServer | None, processes: int, settings: WorkerSettings) -> None:
        self._client = client
        self._server = server
        self._processes = processes
        self._settings = settings
        self._rates = Rates()
        self._news = News()
        self._looked = 0.0
        self._away = False

    def until_stopped(self) -> None:
        """Return when a signal has come and all workers have stopped."""
        with Interrupts() as interrupts, make_display() as display:
            supervisor = Supervisor(
                self._client.endpoint.url,
                self._processes,
                self._settings,
                on_event=lambda event: display.say(str(event)),
                on_output=display.on_output,
            )
            attend(supervisor, interrupts, lambda: display.say("ready"), lambda: self._look(display))

    def _look(self, display: Display) -> None:
        if self._server is not None and not self._server.running:
            raise GeartrainError(f"the embedded server has ended by itself; its log is {self._server.log_path}")
        now = time.monotonic()
        if now - self._looked < _STATUS:
            return
        self._looked = now
        try:
            infos = self._client.registrations()
            for text in self._news.of(infos):
                display.say(text)
            display.status(infos, self._rates.add(infos, now), now)
        except GeartrainError as error:
            # Workers wait for a server that is away, and so do we.
            if not self._away:
                display.say(f"no status: {error}")
            self._away = True
        else:
            self._away = False
