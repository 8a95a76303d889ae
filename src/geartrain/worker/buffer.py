"""Entries that were read and not yet executed, in the chunks in which they came."""

from __future__ import annotations

from collections import deque

from geartrain.readers.entries import Entries, joined, size_of

_LARGE = 1 << 24
"""Bytes of entries (estimated) that make a buffer full, however few they are."""

_FIRST_READ = 100
"""Entries asked for while nothing is known of their size."""

_SCARCE = 1 << 16
"""Bytes of entries (estimated) that one read may bring where memory is short, if that is more than a batch."""


class Buffer:
    """A queue of entries. Not thread-safe: its partition's lock guards it.

    Args:
        capacity: entries at which it counts as full; it takes a chunk that goes beyond.
        batch: entries that it must be able to hold, however large they are.
    """

    __slots__ = ("_batch", "_chunks", "_count", "_position", "_size", "capacity")

    def __init__(self, capacity: int, batch: int) -> None:
        self.resize(capacity, batch)
        self._chunks: deque[tuple[Entries, float]] = deque()
        self._position = 0
        self._count = 0
        self._size = 0.0

    def resize(self, capacity: int, batch: int) -> None:
        """Hold that many entries from now on."""
        self._batch = batch
        self.capacity = max(capacity, 2 * batch)

    def __len__(self) -> int:
        return self._count

    @property
    def full(self) -> bool:
        """Whether nothing more should be read for now."""
        return self._count >= self.capacity or (self._count >= self._batch and self._count * self._size > _LARGE)

    @property
    def weight(self) -> float:
        """About how many bytes the entries take."""
        return self._count * self._size

    @property
    def roomy(self) -> bool:
        """Whether a buffer that was full should be read for again: early enough that it does not run empty."""
        if self._count < self._batch:
            return True
        return self._count * 2 <= self.capacity and self._count * self._size * 2 <= _LARGE

    def appetite(self, *, tight: bool = False) -> int:
        """Entries that one read should bring at the most.

        Args:
            tight: memory is short: what is missing for a batch, and more only where that is little.
        """
        wanted = int(_LARGE / self._size) // 2 if self._size else _FIRST_READ
        if tight:
            missing = self._batch - self._count
            wanted = min(wanted, max(missing, int(_SCARCE / self._size) if self._size else 0))
        return max(1, min(self.capacity, wanted))

    @property
    def oldest(self) -> float | None:
        """When the chunk of the first entry came; None where there is none."""
        return self._chunks[0][1] if self._chunks else None

    def append(self, entries: Entries, now: float) -> None:
        """Add a chunk that came at `now`."""
        if entries:
            self._chunks.append((entries, now))
            self._count += len(entries)
            self._size = size_of(entries) / len(entries)

    def take(self, count: int) -> Entries:
        """Remove and return the first `count` entries, or all where there are fewer."""
        taken: Entries = []
        while count > 0 and self._chunks:
            entries = self._chunks[0][0]
            piece = entries[self._position : self._position + count]
            taken = joined(taken, piece) if taken else piece
            count -= len(piece)
            self._position += len(piece)
            if self._position >= len(entries):
                self._chunks.popleft()
                self._position = 0
        self._count -= len(taken)
        return taken

    def put_back(self, entries: Entries, now: float) -> None:
        """Put entries that were taken last back to the front, at `now`."""
        if not entries:
            return
        arrived = now
        if self._chunks:
            first, arrived = self._chunks[0]
            if self._position:
                self._chunks[0] = (first[self._position :], arrived)
                self._position = 0
        self._chunks.appendleft((entries, arrived))
        self._count += len(entries)

    def clear(self) -> None:
        """Forget all."""
        self._chunks.clear()
        self._position = self._count = 0
