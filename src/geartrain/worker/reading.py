"""The thread that reads streams: one blocking `XREAD` for all partitions that have room.

It never waits for user code: replies go to the partitions' buffers, and the next `XREAD` is under way while the
execution threads work. A partition whose buffer is full is left out until it has room again.

A blocking read is ended early by an entry in a stream of this worker's own (`keys.wake`), which is one of the streams
that it reads: unlike `CLIENT UNBLOCK` this needs no right beyond our own keys, and it cannot come too early.

With many streams, naming them all costs more than reading them. So streams that gave something are read again by
themselves, without blocking, before all are named again: for a time in proportion to what naming all of them took.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from geartrain import keys
from geartrain.errors import CommandError, GeartrainError, ServerUnavailable
from geartrain.readers.entries import id_parts
from geartrain.text import to_bytes
from geartrain.wire import Access, Argument, ErrorReply, Link, pack
from geartrain.wire.channel import UNAVAILABLE
from geartrain.worker.buffer import weight
from geartrain.worker.partition import Partition
from geartrain.worker.policy import backoff

logger = logging.getLogger("geartrain.worker")

_MANY = 32
"""Streams from which on those that just gave something are read by themselves."""

_MOST = 1000
"""Entries of one stream that one read brings: parsing them holds the interpreter for about 2 ms."""

_ALL_AGAIN = 0.01
"""Seconds after which all streams are named again at the earliest, however busy some are."""

_HOT_SHARE = 8
"""Or this many times what it took to write the command that names them all: with 10,000 streams most of the time is for
reading those that have something."""

_MISFIT_RETRY = 5.0
"""Seconds until a stream that cannot be read (another type, no permission) is tried again."""

_WAKE_TTL_MS = 3_600_000


class StreamReading:
    """The reading of one server's (or shard's) streams.

    Args:
        link: a connection of its own.
        worker: this worker's id.
        block: seconds that an idle read waits in the server.
        budget: records that one read may bring.
        memory: bytes of entries (estimated) that all partitions may hold.
        trouble: called with a partition and the reason why its stream cannot be read.
    """

    def __init__(
        self,
        link: Link,
        worker: str,
        block: float,
        budget: int,
        memory: int,
        trouble: Callable[[Partition, str], None],
    ) -> None:
        self._link = link
        self._wake_key = keys.wake(worker)
        self._wake_id = "0-0"
        self._block_ms = max(1, round(block * 1000))
        self._budget = budget
        self._memory = memory
        self._trouble = trouble
        self._condition = threading.Condition()
        self._partitions: dict[bytes, list[Partition]] = {}
        self._misfits: dict[bytes, float] = {}
        self._changed = False
        self._blocking = False
        self._stopping = False
        # What the buffers hold, at the most.
        self._held = 0.0
        self._hot: frozenset[bytes] = frozenset()
        self._all_due = 0.0
        self._thread = threading.Thread(target=self._run, name="geartrain-read", daemon=True)

    # -- called by other threads ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def set_partitions(self, partitions: Iterable[Partition], link: Access) -> None:
        """Read these from now on, and no others."""
        by_stream: dict[bytes, list[Partition]] = {}
        for partition in partitions:
            by_stream.setdefault(partition.key[1], []).append(partition)
        with self._condition:
            self._partitions = by_stream
            self._misfits = {stream: at for stream, at in self._misfits.items() if stream in by_stream}
        self.wake(link)

    def wake(self, link: Access) -> None:
        """Look again at what to read, now; `link` is the calling thread's."""
        with self._condition:
            self._changed = True
            self._condition.notify()
            blocking = self._blocking
        if blocking:
            try:
                link.pipeline(
                    [
                        ("XADD", self._wake_key, "MAXLEN", 1, "*", "wake", 1),
                        ("PEXPIRE", self._wake_key, _WAKE_TTL_MS),
                    ]
                )
            except GeartrainError:
                logger.debug("no wake-up: the server is away, and the read with it")

    def stop(self, deadline: float, link: Access) -> None:
        """End the thread, until a time of `time.monotonic`."""
        self._stopping = True
        self.wake(link)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self._link.close()
        try:
            link.call("DEL", self._wake_key)
        except GeartrainError:
            logger.debug("the wake-up stream is left to its TTL")

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
                    self._blocking = False
                    if not self._stopping:
                        self._condition.wait(wait)

    def _round(self) -> None:
        begin = time.monotonic()
        with self._condition:
            self._changed = False
            tight = self._tight()
            hot = self._hot if begin < self._all_due and len(self._partitions) >= _MANY else frozenset()
            busy = {name: self._partitions[name] for name in hot if name in self._partitions}
            streams = self._readable(busy, tight=tight)
            if not streams:
                hot, streams = frozenset(), self._readable(self._partitions, tight=tight)
            if not streams:
                self._condition.wait(1.0)
                return
            # From here on a `wake` reaches the server: its entry ends the read even if it is there before.
            self._blocking = not hot
        command = self._command(streams, tight=tight, blocking=not hot)
        if not hot:
            self._all_due = begin + max(_ALL_AGAIN, _HOT_SHARE * (time.monotonic() - begin))
        reply = self._link.exchange(command, 1)[0]
        self._blocking = False
        if isinstance(reply, ErrorReply):
            self._find_misfits(streams, reply)
            return
        self._deliver(reply or [], streams)

    def _readable(self, partitions: dict[bytes, list[Partition]], *, tight: bool) -> dict[bytes, list[Partition]]:
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

    def _command(self, streams: dict[bytes, list[Partition]], *, tight: bool, blocking: bool) -> bytes:
        """The packed `XREAD`."""
        appetite = min(min(item.appetite(tight=tight) for item in items) for items in streams.values())
        count = max(1, min(appetite, _MOST, self._budget // len(streams)))
        command: list[Argument] = ["XREAD", "COUNT", count]
        if blocking:
            command += ["BLOCK", self._block_ms]
        command += ["STREAMS", *streams]
        ids = [min((item.read_id for item in items), key=id_parts) if len(items) > 1 else items[0].read_id
               for items in streams.values()]  # fmt: skip
        if blocking:
            command.append(self._wake_key)
            ids.append(self._wake_id)
        return pack([*command, *ids])

    def _deliver(
        self, reply: list[tuple[str | bytes, list[list[object]]]], streams: dict[bytes, list[Partition]]
    ) -> None:
        hot = set()
        for name, entries in reply:
            stream = to_bytes(name)
            if stream == self._wake_key:
                self._wake_id = str(entries[-1][0])
                continue
            hot.add(stream)
            for partition in streams[stream]:
                _offer(partition, entries, shared=len(streams[stream]) > 1)
            self._held += weight(entries) * len(streams[stream])
        self._hot = frozenset(hot)

    def _find_misfits(self, streams: dict[bytes, list[Partition]], reply: ErrorReply) -> None:
        """One stream that cannot be read fails the whole command: find it, and leave it out for a while."""
        if CommandError("XREAD", reply.text).code in UNAVAILABLE:
            raise ServerUnavailable(f"XREAD: {reply.text}")
        replies = self._link.pipeline([("XREAD", "COUNT", 1, "STREAMS", stream, "0-0") for stream in streams])
        found = False
        for stream, single in zip(streams, replies, strict=True):
            if isinstance(single, ErrorReply):
                found = True
                self._misfits[stream] = time.monotonic() + _MISFIT_RETRY
                for partition in streams[stream]:
                    self._trouble(partition, single.text)
        if not found:
            raise ServerUnavailable(f"XREAD: {reply.text}")


def _offer(partition: Partition, entries: list[list[object]], *, shared: bool) -> None:
    """Give a partition the entries that it has not read."""
    last = str(entries[-1][0])
    if shared:
        # Partitions of one stream may be at different places: it was read from where the first of them is.
        after = id_parts(partition.read_id)
        if id_parts(last) <= after:
            return
        if id_parts(str(entries[0][0])) <= after:
            entries = [entry for entry in entries if id_parts(str(entry[0])) > after]
    partition.read_id = last
    partition.offer(entries)
