"""The log of failed executions: each registration's first failure is told at once, a flood of them once in a while."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger("geartrain.worker")

INTERVAL = 1.0
"""Seconds between two lines about one registration; what failed between is counted."""

TRACE_INTERVAL = 10.0
"""Seconds between two tracebacks of one registration. The last one is always in `geartrain show`."""


@dataclass(slots=True)
class _Told:
    at: float
    traced_at: float
    untold: int = 0


class FailureLog:
    """May be called from any thread.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._told: dict[str, _Told] = {}

    def failed(self, registration: str, source: str, outcome: str, message: str, trace: str) -> None:
        """Tell of a failure.

        Args:
            registration: its id.
            source: the stream's name, or `key events`.
            outcome: `failed`, `retried` or `aborted`.
            message: what was raised, by which step, on which record.
            trace: the user's traceback, or ''.
        """
        now = self._clock()
        with self._lock:
            told = self._told.get(registration)
            if told is None:
                told = self._told[registration] = _Told(now, now)
                with_trace = True
            elif now - told.at < INTERVAL:
                told.untold += 1
                return
            else:
                with_trace = now - told.traced_at >= TRACE_INTERVAL
            untold, told.untold, told.at = told.untold, 0, now
            if with_trace:
                told.traced_at = now
        more = f" (and {untold} more since the last line)" if untold else ""
        tail = "\n" + trace.rstrip("\n") if with_trace and trace else ""
        logger.warning("%s on %s %s: %s%s%s", registration, source, outcome, message, more, tail)
