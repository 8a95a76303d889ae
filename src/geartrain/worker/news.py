"""What other threads tell a worker's main thread, which looks at it when it comes to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum

from geartrain.text import shown
from geartrain.worker.partition import Partition


class Change(Enum):
    """What became of a partition."""

    LOST = "its lease is another's"
    GONE = "its stream is gone"
    ABORTED = "its policy, or its function, stops the registration"


class News:
    """Changes of partitions, and troubles of registrations; told from any thread, taken by the main one.

    Args:
        wake: wakes the main thread.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._changes: deque[tuple[Change, Partition]] = deque()
        self._troubles: deque[tuple[str, str]] = deque()

    def lost(self, partition: Partition) -> None:
        """Its lease is another worker's, or nobody's."""
        self._tell(Change.LOST, partition)

    def gone(self, partition: Partition) -> None:
        """Its stream is gone."""
        self._tell(Change.GONE, partition)

    def aborted(self, partition: Partition) -> None:
        """Its registration is to end."""
        self._tell(Change.ABORTED, partition)

    def _tell(self, change: Change, partition: Partition) -> None:
        self._changes.append((change, partition))
        self._wake()

    def trouble(self, partition: Partition, reason: str) -> None:
        """Something keeps it from being read."""
        name = f"{shown(partition.name)}: " if partition.name else ""
        self._troubles.append((partition.key[0], f"{name}{reason}"))
        self._wake()

    def troubles(self) -> Iterator[tuple[str, str]]:
        """Registrations, each with what troubles it; each is given once."""
        while self._troubles:
            yield self._troubles.popleft()

    def each(self, handle: Callable[[Change, Partition], None]) -> None:
        """Have each change handled, in their order; one that `handle` fails at is the first the next time."""
        while self._changes:
            handle(*self._changes[0])
            self._changes.popleft()
