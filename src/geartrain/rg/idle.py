"""An execution that makes no progress: the executor process tells the service of progress, and the service counts.

    executor: a thread looks at `Progress.count`, and says Moved where it has changed
    service: nothing was heard for `max_idle` ──> the execution is aborted

By messages rather than by a clock in the executor: what keeps its interpreter busy (one call into C) keeps its threads
from running, and then there is silence.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from geartrain.pipeline import Progress
from geartrain.rg.messages import Moved

LEAST = 0.1
"""Seconds; shorter idle times count as this one."""

_LONGEST_PAUSE = 0.25
"""Seconds between two messages at the most; a quarter of the idle time where that is shorter."""


def _pause(limit: float) -> float:
    return min(_LONGEST_PAUSE, max(limit, LEAST) / 4)


class Reporter:
    """In the executor: says that there was progress.

    Args:
        progress: of the execution.
        limit: seconds that it may make none.
        send: tells the service, from any thread.
    """

    def __init__(self, progress: Progress, limit: float, send: Callable[[Moved], None]) -> None:
        self._progress = progress
        self._pause = _pause(limit)
        self._send = send
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="geartrain-progress", daemon=True).start()

    def end(self) -> None:
        """The execution has ended. Does not wait."""
        self._ended.set()

    def _run(self) -> None:
        told = 0
        while not self._ended.wait(self._pause):
            count = self._progress.count
            if count != told:
                told = count
                self._send(Moved(self._progress.slack))


class Watch:
    """In the service: knows when an execution has made no progress for too long.

    Args:
        limit: seconds that it may make none; 0: for ever.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._patience = max(limit, LEAST) + _pause(limit)
        self._slack = 0.0
        self._until: float | None = None

    def begin(self) -> None:
        """The execution runs from now on."""
        self.moved()

    def moved(self, slack: float = 0.0) -> None:
        """There was progress; from now on it may be heard of `slack` seconds late."""
        if self.limit:
            self._slack = max(self._slack, slack)
            self._until = time.monotonic() + self._patience + self._slack

    def end(self) -> None:
        """There is nothing to abort any more."""
        self._until = None

    def rest(self, most: float) -> float:
        """Seconds until one has to look again, `most` at the most."""
        return most if self._until is None else min(most, max(0.0, self._until - time.monotonic()))

    @property
    def over(self) -> bool:
        """Whether the execution is to be aborted."""
        return self._until is not None and time.monotonic() >= self._until
