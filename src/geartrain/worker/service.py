"""The child process of a worker that does what the server module's RG.* commands ask for: `python -m geartrain.rg`.

    no module that hands out calls ──one is there──> the process is kept, as a supervisor keeps workers ──stop──> ended

A process of its own, because scripts of users run below it, and none of them may cost the worker its leases.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from contextlib import suppress

from geartrain.config import WorkerSettings
from geartrain.errors import GeartrainError
from geartrain.wire import Access, Endpoint, access
from geartrain.worker.supervisor import Event, Kind, Supervisor

logger = logging.getLogger("geartrain.worker")

_COMMAND = (sys.executable, "-u", "-P", "-m", "geartrain.rg")
"""By name: the service uses the client, which uses workers."""

_LOOK = 2.0
"""Seconds between two looks for the module, where there is none."""


class Service:
    """See the module's docstring.

    Args:
        endpoint: the server, or the cluster.
        settings: of the worker.
    """

    def __init__(self, endpoint: Endpoint, settings: WorkerSettings) -> None:
        self._endpoint = endpoint
        self._supervisor = Supervisor(endpoint.url, 1, settings, on_event=_log, command=_COMMAND)
        # A moment more than the process gives itself.
        self._patience = settings.stop_deadline + 1
        self._deadline = 0.0
        self._started = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="geartrain-service", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def request_stop(self) -> None:
        """Ask the process to take no more calls, and to end when it has done what it has taken; returns at once."""
        if not self._stopping.is_set():
            self._deadline = time.monotonic() + self._patience
        self._stopping.set()
        self._supervisor.request_stop()

    def stop(self) -> None:
        """End the process; from the first request on it has the stop deadline for what it has taken."""
        self.request_stop()
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        if self._started and not self._supervisor.wait(max(0.0, self._deadline - time.monotonic())):
            self._supervisor.kill()
            self._supervisor.wait()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with suppress(GeartrainError), access(self._endpoint, "geartrain:service") as link:
                if hands_out_calls(link):
                    self._started = True
                    self._supervisor.start()
                    return
            self._stopping.wait(_LOOK)


def hands_out_calls(link: Access) -> bool:
    """Whether some shard has a module that does."""
    return any(link.on(shard).call("COMMAND", "INFO", "GEARTRAIN.SERVE")[0] is not None for shard in link.shards)


def _log(event: Event) -> None:
    text = str(event).replace("worker 1", "the process for RG.* commands", 1)
    logger.log(logging.WARNING if event.kind is Kind.DIED else logging.INFO, "%s", text)
