"""The child process of a worker that does what the server module's RG.* commands ask for: `python -m geartrain.rg`.

    no module that hands out calls ──one is there──> nobody has called ──a call, which is given back──>
    the process is kept, as a supervisor keeps workers ──stop──> ended

A process of its own, because scripts of users run below it, and none of them may cost the worker its leases. It takes
40 MB and a second to start, so it waits for the first RG.* command, unless the server was set up for scripts of
RedisGears.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from contextlib import suppress

from geartrain.config import Dialect, WorkerSettings
from geartrain.errors import CommandError, GeartrainError
from geartrain.registry import gearsconfig
from geartrain.wire import Access, Endpoint, access
from geartrain.worker.supervisor import Event, Kind, Supervisor

logger = logging.getLogger("geartrain.worker")

_COMMAND = (sys.executable, "-u", "-P", "-m", "geartrain.rg")
"""By name: the service uses the client, which uses workers."""

_LOOK = 2.0
"""Seconds between two looks for the module, where there is none."""

_TURN = 500
"""Milliseconds that one shard is asked for a first call, before the next one is."""


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
                if hands_out_calls(link) and (_set_up_for_scripts(link) or self._called(link)):
                    self._started = True
                    self._supervisor.start()
                    return
            self._stopping.wait(_LOOK)

    def _called(self, link: Access) -> bool:
        """Wait for a call on any shard; False: we stop.

        Raises:
            ServerUnavailable: a connection was lost.
        """
        while not self._stopping.is_set():
            for shard in link.shards:
                here = link.on(shard)
                try:
                    call = here.call("GEARTRAIN.SERVE", _TURN, "admin", "script")
                except CommandError:
                    # What it lacks (a permission, say), the process tells in its own words.
                    return True
                if call is not None:
                    here.call("GEARTRAIN.RETURN", call[0])
                    return True
                if self._stopping.is_set():
                    return False
        return False


def _set_up_for_scripts(link: Access) -> bool:
    """Whether RedisGears' scripts are expected: the module was loaded for its dialect."""
    return gearsconfig.given(link).get("dialect") == Dialect.REDISGEARS_1_2


def hands_out_calls(link: Access) -> bool:
    """Whether some shard has a module that does."""
    return any(link.on(shard).call("COMMAND", "INFO", "GEARTRAIN.SERVE")[0] is not None for shard in link.shards)


def _log(event: Event) -> None:
    text = str(event).replace("worker 1", "the process for RG.* commands", 1)
    logger.log(logging.WARNING if event.kind is Kind.DIED else logging.INFO, "%s", text)
