"""Ctrl-C and SIGTERM as something to wait for: the commands that run until they are stopped stop in good order."""

from __future__ import annotations

import signal
from queue import Empty, SimpleQueue
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """A context manager; inside it SIGINT and SIGTERM do nothing but end a `wait`. For the main thread.

    Each signal ends one `wait`: the first one is the request to stop, the second one the request to hurry.
    """

    def __init__(self) -> None:
        # Its `put` may be called from a signal handler, which the locks of other queues and of events do not allow.
        self._received: SimpleQueue[int] = SimpleQueue()
        self._before: dict[signal.Signals, Any] = {}

    def wait(self, seconds: float) -> bool:
        """Wait for a signal, at most that long; whether one came."""
        try:
            self._received.get(timeout=seconds)
        except Empty:
            return False
        return True

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self._received.put(number)
