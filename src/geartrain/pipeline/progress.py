"""Whether an execution goes on, for whoever ends one that does not. Costs nothing where nobody asks.

Progress is a record that some loop of a pipeline takes, a page that a reader has read, a coroutine that has ended; and
what others say who do a part of it (`geartrain.runs.delegation`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


class Progress:
    """A number that changes as long as there is progress. Thread-safe, as it need not be exact.

    Attributes:
        count: the number.
        slack: seconds by which what others do is heard of late, at the most; 0 where all of it is done here.
    """

    __slots__ = ("count", "slack")

    def __init__(self) -> None:
        self.count = 0
        self.slack = 0.0

    def moved(self, _task: object = None) -> None:
        """There was progress; also what asyncio calls when a task is done."""
        self.count += 1

    def late(self, slack: float) -> None:
        """Others do a part of it: from now on what they do is heard of so many seconds late, at the most."""
        self.slack = slack
        self.count += 1

    def past(self, items: Iterable[T]) -> Iterator[T]:
        """The same items; each is progress."""
        for item in items:
            self.count += 1
            yield item


_WATCHED: ContextVar[Progress | None] = ContextVar("geartrain_progress", default=None)


def watched() -> Progress | None:
    """Where this thread's executions tell their progress; None: nobody asks."""
    return _WATCHED.get()


@contextmanager
def watching(progress: Progress | None) -> Iterator[None]:
    """Have executions within the block, and in threads with a copy of its context variables, tell their progress."""
    token = _WATCHED.set(progress)
    try:
        yield
    finally:
        _WATCHED.reset(token)
