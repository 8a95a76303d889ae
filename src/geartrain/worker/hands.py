"""How many threads work, where some only wait for a coroutine or a future (the dialect redisgears-1.2).

What they wait for may be the work of another thread of the same kind: a trigger that wakes up those before it. So while
one waits another may be started in its place, and threads that are too many, when those come back, end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from geartrain.runtime import while_waiting

MOST = 128
"""Threads of one kind, those that wait included."""


class Hands:
    """The threads of one kind. Thread-safe.

    Args:
        wanted: how many are to work.
        start: starts one more; called in the thread that begins to wait.
    """

    def __init__(self, wanted: int, start: Callable[[], None]) -> None:
        self._wanted = wanted
        self._start = start
        self._lock = threading.Lock()
        self._working = wanted
        self._all = wanted

    def mine(self) -> None:
        """This thread is one of them."""
        while_waiting(self.waiting)

    def spare(self) -> bool:
        """Whether the calling thread, which has nothing to do, is too many, and must end now."""
        with self._lock:
            if self._working <= self._wanted:
                return False
            self._working -= 1
            self._all -= 1
            return True

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The calling thread waits for others."""
        with self._lock:
            self._working -= 1
            more = self._working < self._wanted and self._all < MOST
            if more:
                self._working += 1
                self._all += 1
        if more:
            self._start()
        try:
            yield
        finally:
            with self._lock:
                self._working += 1
