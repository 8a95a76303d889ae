"""Which streams match the registrations' patterns.

A pattern without a special character names its stream; it needs no search, and the stream need not exist yet. For the
others the key space is scanned in a thread, with a pause after each scan that keeps its cost below a twentieth of the
server's time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from geartrain import keys
from geartrain.errors import GeartrainError
from geartrain.glob import is_exact, matches
from geartrain.text import to_bytes
from geartrain.wire import Access, Link, Shard

logger = logging.getLogger("geartrain.worker")

_PAGE = 1000
"""Keys that one SCAN call looks at."""

_PAUSE_RATIO = 20
"""Seconds of pause for each second of scanning."""


class Discovery:
    """The thread that scans.

    Args:
        link: a connection of its own.
        interval: seconds between two scans, at least.
        found: called (from the thread) after a scan that found other streams than the one before.
    """

    def __init__(self, link: Access, interval: float, found: Callable[[], None]) -> None:
        self._link = link
        self._interval = interval
        self._found = found
        self._condition = threading.Condition()
        self._patterns: frozenset[bytes] = frozenset()
        self._streams: dict[bytes, frozenset[bytes]] = {}
        self._away: set[Shard] = set()
        self._again = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="geartrain-discover", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def set_patterns(self, patterns: Mapping[str, bytes]) -> None:
        """Look for streams that match these (registration id -> pattern)."""
        wanted = frozenset(pattern for pattern in patterns.values() if not is_exact(pattern))
        with self._condition:
            if wanted - self._patterns:
                self._again = True
            self._patterns = wanted
            self._condition.notify()

    def streams(self, pattern: bytes) -> frozenset[bytes] | None:
        """The streams that match, Geartrain's own left out; None: not known yet."""
        if is_exact(pattern):
            if pattern.startswith(keys.PREFIX):
                return frozenset()
            return frozenset((pattern,))
        return self._streams.get(pattern)

    def soon(self) -> None:
        """Keys may be on other shards now: scan at once."""
        with self._condition:
            self._again = True
            self._condition.notify()

    def stop(self) -> None:
        """End the thread."""
        with self._condition:
            self._stopping = True
            self._condition.notify()

    def _run(self) -> None:
        while not self._stopping:
            begin = time.monotonic()
            patterns = self._patterns
            if patterns:
                self._scan(patterns)
            spent = time.monotonic() - begin
            self._pause(max(self._interval, spent * _PAUSE_RATIO))
        self._link.close()

    def _pause(self, seconds: float) -> None:
        with self._condition:
            if not self._stopping and not self._again:
                self._condition.wait(seconds)
            self._again = False

    def _scan(self, patterns: frozenset[bytes]) -> None:
        found: dict[bytes, set[bytes]] = {pattern: set() for pattern in patterns}
        shards = self._link.shards
        failed = [shard for shard in shards if not self._scan_shard(shard, found)]
        if failed or self._link.shards != shards:
            # What a shard that is away has, or what moved while we looked, is not gone.
            for pattern, names in found.items():
                names.update(self._streams.get(pattern, ()))
        streams = {pattern: frozenset(names) for pattern, names in found.items()}
        if streams != self._streams and (not failed or any(streams.values())):
            self._streams = streams
            self._found()

    def _scan_shard(self, shard: Shard, found: dict[bytes, set[bytes]]) -> bool:
        """Add one shard's streams to those of their patterns; whether it could be asked."""
        match = next(iter(found)) if len(found) == 1 else b"*"
        try:
            for name in self._names(self._link.on(shard), match):
                for pattern, names in found.items():
                    if matches(pattern, name):
                        names.add(name)
        except GeartrainError as error:
            level = logging.DEBUG if shard in self._away else logging.WARNING
            logger.log(level, "looking for streams failed, and will be tried again: %s", error)
            self._away.add(shard)
            return False
        self._away.discard(shard)
        return True

    def _names(self, link: Link, match: bytes) -> Iterator[bytes]:
        """The streams of one shard, Geartrain's own left out."""
        cursor: str | int = 0
        while not self._stopping:
            cursor, page = link.call("SCAN", cursor, "MATCH", match, "COUNT", _PAGE, "TYPE", "stream")
            yield from (name for name in map(to_bytes, page) if not name.startswith(keys.PREFIX))
            if cursor == "0":
                return
