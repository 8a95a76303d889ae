"""The reading of one shard's streams, without a blocking command.

In a cluster one command may name keys of one slot only, so one blocking `XREAD` for all streams is not possible, and
one for each slot would need as many connections. Instead the server tells which streams to read: with CLIENT TRACKING
it remembers the keys that this connection has read, and pushes a key's name, once, when it changes. Reading it again
arms that again. So:

    due ──XREAD──> COUNT entries came: still due; fewer: the stream is read to its end, and not due ──push──> due

All streams that are due are read together, in one round trip. An idle shard costs nothing, however many streams it has;
a busy stream costs one push for each read.

Where the server refuses `CLIENT TRACKING` (a user without the permission, an old proxy) all streams are read in turns.

A stream that the shard does not serve any more (MOVED, ASK) is left out; whoever owns this is told, and finds out
where it is.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import time
from collections.abc import Callable
from typing import Any

from geartrain.errors import CommandError, ServerUnavailable
from geartrain.text import to_bytes
from geartrain.wire import Access, Channel, ErrorReply, Link, pack_all
from geartrain.wire.channel import UNAVAILABLE, Push
from geartrain.worker.partition import Partition
from geartrain.worker.reading import MOST, Reading, Streams, read_from

logger = logging.getLogger("geartrain.worker")

_TOGETHER = 100
"""Streams that are read in one round trip, at the most."""

_LOOK = 1.0
"""Seconds that an idle thread waits for a push; then it looks whether a stream that could not be read can be."""

_TURN = 0.02
"""Seconds between two reads of all streams where the server does not push."""

_SILENCE = 10.0
"""Seconds without a word from the server after which it is asked for one: a silent connection may be a dead one."""

_ELSEWHERE = frozenset({"MOVED", "ASK", "CLUSTERDOWN", "TRYAGAIN"})

_NOT_HERE_RETRY = 0.1
"""Seconds until a stream that is on its way to another shard is tried again here."""


class TrackedReading(Reading):
    """See the module's docstring.

    Args:
        link: a connection of its own, to the shard's primary.
        budget: records that one read may bring.
        memory: bytes of entries (estimated) that the partitions may hold.
        trouble: called with a partition and the reason why its stream cannot be read.
        elsewhere: called when a stream is not here any more, or the shard does not answer.
    """

    def __init__(
        self,
        link: Link,
        budget: int,
        memory: int,
        trouble: Callable[[Partition, str], None],
        elsewhere: Callable[[], None],
    ) -> None:
        super().__init__(link, budget, memory, trouble)
        self._elsewhere = elsewhere
        self._due: dict[bytes, None] = {}
        self._seen: Streams = {}
        self._channel: Channel | None = None
        self._pushes = True
        self._heard = 0.0
        self._closed = False
        self._bell_out, self._bell = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._bell_out, False)

    def wake(self, access: Access) -> None:
        """Look again at what to read, now."""
        del access
        with self._condition:
            self._condition.notify()
            if not self._closed:
                # A full pipe rings already.
                with contextlib.suppress(BlockingIOError):
                    os.write(self._bell, b"!")

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _round(self) -> None:
        channel = self._connected()
        with self._condition:
            partitions = self._partitions
            tight = self._tight()
        self._notice(partitions)
        due = {stream: partitions[stream] for stream in self._due}
        streams = self._readable(due, tight=tight)
        if not streams:
            self._wait(channel, _LOOK if self._pushes or not partitions else _TURN)
            return
        self._read(channel, dict(list(streams.items())[:_TOGETHER]), tight=tight)

    def _lost(self) -> None:
        self._link.close()
        self._channel = None
        self._elsewhere()

    def _ended(self) -> None:
        super()._ended()
        with self._condition:
            self._closed = True
            os.close(self._bell)
            os.close(self._bell_out)

    def _connected(self) -> Channel:
        """The channel; on a new one nothing is tracked yet, so that everything is due."""
        channel = self._link.channel
        if channel is self._channel:
            return channel
        try:
            channel.use_resp3()
            channel.request(("CLIENT", "TRACKING", "ON"))
            self._pushes = True
        except CommandError as error:
            if self._pushes:
                logger.warning("streams are read in turns, as the server does not tell which have changed: %s", error)
            self._pushes = False
        self._channel = channel
        self._seen = {}
        self._due = {}
        self._heard = time.monotonic()
        return channel

    def _notice(self, partitions: Streams) -> None:
        """Streams and partitions that are new are due."""
        if partitions is not self._seen:
            for stream, items in partitions.items():
                if self._seen.get(stream) != items:
                    self._due[stream] = None
            self._due = {stream: None for stream in self._due if stream in partitions}
            self._seen = partitions
        if not self._pushes and not self._due:
            self._due = dict.fromkeys(partitions)

    def _read(self, channel: Channel, streams: Streams, *, tight: bool) -> None:
        """Read streams, each with a command of its own, in one round trip."""
        most = max(1, min(MOST, self._budget // len(streams)))
        counts = [max(1, min(most, *(item.appetite(tight=tight) for item in items))) for items in streams.values()]
        channel.send(
            pack_all(
                ("XREAD", "COUNT", count, "STREAMS", stream, read_from(items))
                for count, (stream, items) in zip(counts, streams.items(), strict=True)
            )
        )
        gone = False
        for stream in streams:
            # First: what is pushed while its reply is on its way makes it due again.
            del self._due[stream]
        for count, (stream, items) in zip(counts, streams.items(), strict=True):
            reply = self._reply(channel)
            if isinstance(reply, ErrorReply):
                gone |= self._refused(stream, items, reply)
            elif reply:
                entries = next(iter(reply.values())) if isinstance(reply, dict) else reply[0][1]
                if len(entries) >= count:
                    self._due[stream] = None
                self._deliver(entries, items)
        if gone:
            self._elsewhere()

    def _refused(self, stream: bytes, items: list[Partition], reply: ErrorReply) -> bool:
        """A stream could not be read; whether that is because another shard has it, or none now."""
        self._due[stream] = None
        if reply.code in _ELSEWHERE:
            self._misfits[stream] = time.monotonic() + _NOT_HERE_RETRY
            return True
        if reply.code in UNAVAILABLE:
            raise ServerUnavailable(f"XREAD: {reply.text}")
        self._misfit(stream, items, reply.text)
        return False

    def _reply(self, channel: Channel) -> Any:
        """The next reply; what is pushed before it is taken."""
        while True:
            reply = channel.receive()
            self._heard = time.monotonic()
            if not isinstance(reply, Push):
                return reply
            self._pushed(reply)

    def _pushed(self, message: list[Any]) -> None:
        """A message of the server: names of keys that have changed, or all (None: it was emptied)."""
        if to_bytes(message[0]) != b"invalidate":
            return
        names = self._seen if message[1] is None else map(to_bytes, message[1])
        for name in names:
            if name in self._seen:
                self._due[name] = None

    def _wait(self, channel: Channel, seconds: float) -> None:
        """Wait for a push, or to be woken."""
        now = time.monotonic()
        soon = [until - now for stream in self._due if (until := self._misfits.get(stream, 0.0)) > now]
        if not channel.has_input():
            ready, _, _ = select.select([channel.fileno(), self._bell_out], (), (), max(0.0, min([seconds, *soon])))
            if self._bell_out in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._bell_out, 4096)
            if channel.fileno() not in ready:
                if now - self._heard > _SILENCE:
                    channel.send(pack_all([("PING",)]))
                    self._reply(channel)
                return
        message = channel.receive()
        self._heard = time.monotonic()
        if isinstance(message, Push):
            self._pushed(message)
