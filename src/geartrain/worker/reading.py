"""The thread that reads streams, whatever it reads them from: what a server's and a shard's have in common.

It never waits for user code: replies go to the partitions' buffers, and the next read is under way while the execution
threads work. A partition whose buffer is full is left out until it has room again.

    BlockingReading (blocking)   one server: one XREAD for all streams
    TrackedReading (tracked)     one shard of a cluster, where a command names streams of one slot only
"""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from geartrain.errors import GeartrainError
from geartrain.readers.entries import Entries, id_parts, size_of
from geartrain.wire import Access, Link
from geartrain.worker.partition import Partition
from geartrain.worker.policy import backoff

logger = logging.getLogger("geartrain.worker")

MOST = 1000
"""Entries of one stream that one read brings: parsing them holds the interpreter for about 2 ms."""

MISFIT_RETRY = 5.0
"""Seconds until a stream that cannot be read (another type, no permission) is tried again."""

Streams = dict[bytes, list[Partition]]
"""Streams, each with those of its partitions that are to get its entries."""


class Reading(ABC):
    """The reading of one server's, or one shard's, streams.

    Args:
        link: a connection of its own.
        budget: records that one read may bring.
        memory: bytes of entries (estimated) that all partitions may hold.
        trouble: called with a partition and the reason why its stream cannot be read.
    """

    def __init__(self, link: Link, budget: int, memory: int, trouble: Callable[[Partition, str], None]) -> None:
        self._link = link
        self._budget = budget
        self._memory = memory
        self._trouble = trouble
        self._condition = threading.Condition()
        self._partitions: Streams = {}
        self._misfits: dict[bytes, float] = {}
        self._stopping = False
        # What the buffers hold, at the most.
        self._held = 0.0
        self._thread = threading.Thread(target=self._run, name="geartrain-read", daemon=True)

    # -- called by other threads ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def set_partitions(self, partitions: Iterable[Partition], access: Access) -> None:
        """Read these from now on, and no others; `access` is the calling thread's."""
        by_stream: Streams = {}
        for partition in partitions:
            by_stream.setdefault(partition.key[1], []).append(partition)
        with self._condition:
            self._partitions = by_stream
            self._misfits = {stream: at for stream, at in self._misfits.items() if stream in by_stream}
        self.wake(access)

    @abstractmethod
    def wake(self, access: Access) -> None:
        """Look again at what to read, now; `access` is the calling thread's."""

    def end(self, access: Access) -> None:
        """Let the thread end soon; it reads nothing more for anybody."""
        with self._condition:
            self._partitions = {}
            self._stopping = True
        self.wake(access)

    def abandon(self, access: Access) -> None:
        """As `end`, where the server may be silent: the thread does not wait for it any more."""
        self.end(access)
        self._link.abort()

    def stop(self, deadline: float, access: Access) -> None:
        """End the thread, until a time of `time.monotonic`."""
        self.end(access)
        self._thread.join(max(0.0, deadline - time.monotonic()))

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        while not self._stopping:
            try:
                self._round()
                failures = 0
            except GeartrainError as error:
                failures += 1
                wait = backoff(failures)
                logger.warning("reading failed, next try in %.1f s: %s", wait, error)
                with self._condition:
                    self._lost()
                    if not self._stopping:
                        self._condition.wait(wait)
        self._ended()

    def _ended(self) -> None:
        """The thread ends."""
        self._link.close()

    @abstractmethod
    def _round(self) -> None:
        """Read once, or wait until there is something to read."""

    @abstractmethod
    def _lost(self) -> None:
        """The connection was lost."""

    def _readable(self, partitions: Streams, *, tight: bool) -> Streams:
        """The streams to read, each with those of its partitions that have room."""
        now = time.monotonic()
        streams = {}
        for stream, items in partitions.items():
            if self._misfits and self._misfits.get(stream, 0.0) > now:
                continue
            roomy = [item for item in items if item.has_room(tight=tight)]
            if roomy:
                streams[stream] = roomy
        return streams

    def _tight(self) -> bool:
        """Whether all buffers together hold more than they may.

        They are added up only when it is possible: with 10,000 of them that takes some milliseconds.
        """
        if self._held > self._memory:
            self._held = sum(item.weight for items in self._partitions.values() for item in items)
        return self._held > self._memory

    def _deliver(self, entries: Entries, partitions: list[Partition]) -> None:
        """Give a stream's entries to its partitions, each those that it has not read."""
        for partition in partitions:
            partition.offer_read(entries)
        self._held += size_of(entries) * len(partitions)

    def _misfit(self, stream: bytes, partitions: Iterable[Partition], reason: str) -> None:
        """A stream cannot be read: leave it out for a while."""
        self._misfits[stream] = time.monotonic() + MISFIT_RETRY
        for partition in partitions:
            self._trouble(partition, reason)


def read_from(partitions: list[Partition]) -> str:
    """The id after which a stream is to be read: where the first of its partitions is."""
    if len(partitions) == 1:
        return partitions[0].read_id
    return min((item.read_id for item in partitions), key=id_parts)
