"""The reading of one server's streams: one blocking `XREAD` for all partitions that have room.

A blocking read is ended early by an entry in a stream of this worker's own (`keys.wake`), which is one of the streams
that it reads: unlike `CLIENT UNBLOCK` this needs no right beyond our own keys, and it cannot come too early.

With many streams, naming them all costs more than reading them. So streams that gave something are read again by
themselves, without blocking, before all are named again: for a time in proportion to what naming all of them took.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from geartrain import keys
from geartrain.errors import GeartrainError, ServerUnavailable
from geartrain.readers.entries import Entries, id_of
from geartrain.text import to_bytes
from geartrain.wire import Access, Argument, ErrorReply, Link, pack
from geartrain.wire.channel import UNAVAILABLE
from geartrain.worker.partition import Partition
from geartrain.worker.reading import MOST, Reading, Streams, read_from

logger = logging.getLogger("geartrain.worker")

_MANY = 32
"""Streams from which on those that just gave something are read by themselves."""

_ALL_AGAIN = 0.01
"""Seconds after which all streams are named again at the earliest, however busy some are."""

_HOT_SHARE = 8
"""Or this many times what it took to write the command that names them all: with 10,000 streams most of the time is for
reading those that have something."""

_WAKE_TTL_MS = 3_600_000


class BlockingReading(Reading):
    """See the module's docstring.

    Args:
        link: a connection of its own.
        worker: this worker's id.
        block: seconds that an idle read waits in the server.
        budget: records that one read may bring.
        memory: bytes of entries (estimated) that all partitions may hold.
        trouble: called with a partition and the reason why its stream cannot be read.
    """

    def __init__(
        self, link: Link, worker: str, block: float, budget: int, memory: int, trouble: Callable[[Partition, str], None]
    ) -> None:
        super().__init__(link, budget, memory, trouble)
        self._wake_key = keys.wake(worker)
        self._wake_id = "0-0"
        self._block_ms = max(1, round(block * 1000))
        self._changed = False
        self._blocking = False
        self._hot: frozenset[bytes] = frozenset()
        self._all_due = 0.0

    def wake(self, access: Access) -> None:
        """Look again at what to read, now; `access` is the calling thread's."""
        with self._condition:
            self._changed = True
            self._condition.notify()
            blocking = self._blocking
        if blocking:
            try:
                access.pipeline(
                    [
                        ("XADD", self._wake_key, "MAXLEN", 1, "*", "wake", 1),
                        ("PEXPIRE", self._wake_key, _WAKE_TTL_MS),
                    ]
                )
            except GeartrainError:
                logger.debug("no wake-up: the server is away, and the read with it")

    def stop(self, deadline: float, access: Access) -> None:
        """End the thread, until a time of `time.monotonic`."""
        super().stop(deadline, access)
        try:
            access.call("DEL", self._wake_key)
        except GeartrainError:
            logger.debug("the wake-up stream is left to its TTL")

    # -- the thread ----------------------------------------------------------------------------------------------------

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
        self._take(reply or [], streams)

    def _lost(self) -> None:
        self._blocking = False

    def _command(self, streams: Streams, *, tight: bool, blocking: bool) -> bytes:
        """The packed `XREAD`."""
        appetite = min(min(item.appetite(tight=tight) for item in items) for items in streams.values())
        count = max(1, min(appetite, MOST, self._budget // len(streams)))
        command: list[Argument] = ["XREAD", "COUNT", count]
        if blocking:
            command += ["BLOCK", self._block_ms]
        command += ["STREAMS", *streams]
        ids = [read_from(items) for items in streams.values()]
        if blocking:
            command.append(self._wake_key)
            ids.append(self._wake_id)
        return pack([*command, *ids])

    def _take(self, reply: list[tuple[str | bytes, Entries]], streams: Streams) -> None:
        hot = set()
        for name, entries in reply:
            stream = to_bytes(name)
            if stream == self._wake_key:
                self._wake_id = id_of(entries, -1)
                continue
            hot.add(stream)
            self._deliver(entries, streams[stream])
        self._hot = frozenset(hot)

    def _find_misfits(self, streams: Streams, reply: ErrorReply) -> None:
        """One stream that cannot be read fails the whole command: find it, and leave it out for a while."""
        if reply.code in UNAVAILABLE:
            raise ServerUnavailable(f"XREAD: {reply.text}")
        replies = self._link.pipeline([("XREAD", "COUNT", 1, "STREAMS", stream, "0-0") for stream in streams])
        found = False
        for stream, single in zip(streams, replies, strict=True):
            if isinstance(single, ErrorReply):
                found = True
                self._misfit(stream, streams[stream], single.text)
        if not found:
            raise ServerUnavailable(f"XREAD: {reply.text}")
