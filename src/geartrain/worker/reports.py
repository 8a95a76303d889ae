"""What a worker writes about its registrations: statistics, history, and why one cannot run."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Protocol

from geartrain.registry.statistics import Delta, report
from geartrain.wire import Access

logger = logging.getLogger("geartrain.worker")

_INTERVAL = 0.5
"""Seconds between two writes of statistics."""


class Counted(Protocol):
    """What has counters of a registration.

    Attributes:
        key: the registration's id comes first.
    """

    key: tuple[str, bytes]

    def drain_tally(self, worker: str) -> Delta | None:
        """What to add to the registration's statistics, or None."""


class Reports:
    """The reports of one worker; for the main thread only.

    Args:
        link: a connection.
        worker: this worker's id.
        history: executions that a registration's history keeps.
    """

    def __init__(self, link: Access, worker: str, history: int) -> None:
        self._link = link
        self._worker = worker
        self._history = history
        self._written = 0.0

    def trouble(self, registration: str, message: str, trace: str | None = None) -> None:
        """Say why a registration does not run, or not wholly: in the log, and as its last error."""
        logger.warning("%s: %s", registration, message)
        latest: dict[str, str | int | float] = {"last_error": message, "last_error_at": time.time()}
        if trace is not None:
            latest["last_trace"] = trace
        self._link.scripts([report(registration, Delta({}, latest), self._history)])

    def write(self, partitions: Iterable[Counted], *, now: bool = False) -> None:
        """Write what the executions of partitions, and of triggers, have added, where it is time or `now`."""
        if not now and time.monotonic() - self._written < _INTERVAL:
            return
        self._written = time.monotonic()
        calls = []
        for partition in partitions:
            delta = partition.drain_tally(self._worker)
            if delta is not None:
                calls.append(report(partition.key[0], delta, self._history))
        if calls:
            self._link.scripts(calls)
