"""Fixtures for chaos: worker processes that the test may kill, and a connection to the one server."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

from geartrain.wire import Endpoint, Link
from support.workers import HASTY, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from geartrain.config import WorkerSettings
    from geartrain.server import EmbeddedServer


class StartWorker(Protocol):
    """What the fixture `start_worker` is."""

    def __call__(
        self, url: str, settings: WorkerSettings = HASTY, env: Mapping[str, str] | None = None
    ) -> WorkerProcess:
        """Start a worker process and return while it runs."""


@pytest.fixture
def start_worker() -> Iterator[StartWorker]:
    """Starts worker processes; those that still run after the test are killed, and what they said is printed."""
    with ExitStack() as stack:

        def start(url: str, settings: WorkerSettings = HASTY, env: Mapping[str, str] | None = None) -> WorkerProcess:
            process = WorkerProcess(url, settings, env)
            stack.callback(_show, process)
            stack.callback(process.kill)
            return process

        yield start


def _show(process: WorkerProcess) -> None:
    if process.stdout or process.stderr:
        print(process)


@pytest.fixture
def db(valkey: EmbeddedServer) -> Iterator[Link]:
    """A connection to `valkey`."""
    with Link(Endpoint(valkey.url), "test") as link:
        yield link
