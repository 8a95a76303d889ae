"""Leases: who owns a partition, decided by one key in the slot of its stream.

A lease holds the owner's token and expires by itself. Everything that an owner writes about a partition goes through a
script that compares the token first, so that a worker that lost its lease without noticing changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from geartrain import keys
from geartrain.wire import Access, Argument, ErrorReply, Script, is_passing
from geartrain.worker.assignment import PartitionKey

_PACKAGE = "geartrain.worker"
OPEN = Script.of(_PACKAGE, "lua/open.lua")
TAKE = Script.of(_PACKAGE, "lua/take.lua")
COMMIT = Script.of(_PACKAGE, "lua/commit.lua")
RENEW = Script.of(_PACKAGE, "lua/renew.lua")
RELEASE = Script.of(_PACKAGE, "lua/release.lua")

KEY_EVENTS = keys.PREFIX + b"key-events"
"""Stands for the stream in the partition that takes a registration's key events: there is none, and none can have this
name, because keys of Geartrain's own are not read."""


_TRIES_TTL_MS = 600_000
"""Milliseconds after which it is forgotten that an owner ended without a commit."""


class Renewal(IntEnum):
    """What `renew` found; UNSURE: the slot is on its way to another shard, and the lease may run out or not."""

    UNSURE = -1
    LOST = 0
    KEPT = 1
    NO_GROUP = 2
    NO_STREAM = 3


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a stream is read from the first time.

    Attributes:
        after: an entry id, or `$`.
        registered: the id just before the time of the registration: what `$` means for a stream that has got entries
            since.
    """

    after: str
    registered: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A partition that is ours now.

    Attributes:
        offset: the id after which to read; None: there is no stream yet.
        entries_read: the server's count of entries up to the offset; None where it keeps none.
        tries: owners, this one included, that have begun with what comes next and have not committed it; 0 where
            nothing is there yet.
    """

    offset: str | None
    entries_read: int | None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """A partition that cannot be opened: why, as users read it."""

    reason: str


class Leases:
    """The leases of one worker.

    Args:
        link: a connection; for the thread that calls.
        token: this worker's; no other worker's, ever.
        ttl: seconds.
    """

    def __init__(self, link: Access, token: str, ttl: float) -> None:
        self._link = link
        self._token = token
        self._ttl_ms = max(1, round(ttl * 1000))

    def open(self, wanted: Sequence[tuple[PartitionKey, Beginning]]) -> list[Opened | Refused | None]:
        """Take leases.

        Args:
            wanted: partitions, each with where it begins if it has no group yet.

        Returns:
            For each one Opened, Refused, or None where another worker has it.
        """
        calls = [self._open_call(key, beginning) for key, beginning in wanted]
        replies = self._link.scripts(calls)
        opened = [_opened(reply) for reply in replies]
        self.note(key for (key, _), item in zip(wanted, opened, strict=True) if isinstance(item, Opened))
        return opened

    def note(self, partitions: Iterable[PartitionKey]) -> None:
        """Add their streams to those that the registry knows, and users are shown."""
        self._link.pipeline([("SADD", keys.streams(key[0]), key[1]) for key in partitions if key[1] != KEY_EVENTS])

    def _open_call(self, key: PartitionKey, beginning: Beginning) -> tuple[Script, list[Argument], list[Argument]]:
        registration, stream = key
        if stream == KEY_EVENTS:
            return TAKE, [key_events_lease(registration)], [self._token, self._ttl_ms]
        names: list[Argument] = [keys.lease(registration, stream), stream, keys.tries(registration, stream)]
        begin: list[Argument] = [beginning.after, beginning.registered]
        return OPEN, names, [self._token, self._ttl_ms, keys.group(registration), *begin, _TRIES_TTL_MS]

    def renew(self, owned: Sequence[PartitionKey]) -> list[Renewal]:
        """Keep leases; what became of each."""
        calls: list[tuple[Script, list[Argument], list[Argument]]] = []
        for registration, stream in owned:
            if stream == KEY_EVENTS:
                calls.append((TAKE, [key_events_lease(registration)], [self._token, self._ttl_ms]))
            else:
                lease = keys.lease(registration, stream)
                calls.append((RENEW, [lease, stream], [self._token, self._ttl_ms, keys.group(registration)]))
        return [_renewal(reply) for reply in self._link.scripts(calls)]

    def release(self, owned: Sequence[tuple[PartitionKey, bool]]) -> None:
        """Give leases up, so that others need not wait for them to expire.

        Args:
            owned: partitions, each with whether this worker counts as a try that has not committed.
        """
        self._link.scripts((RELEASE, _release_keys(key, tried=tried), [self._token]) for key, tried in owned)


def _release_keys(key: PartitionKey, *, tried: bool) -> list[Argument]:
    registration, stream = key
    if stream == KEY_EVENTS:
        return [key_events_lease(registration)]
    return [keys.lease(*key), keys.tries(*key)] if tried else [keys.lease(*key)]


def key_events_lease(registration: str) -> bytes:
    """The lease of a registration's key events."""
    return keys.lease(registration, b"registry") + b":key-events"


def _renewal(reply: Any) -> Renewal:
    if isinstance(reply, ErrorReply):
        return Renewal.UNSURE if is_passing(reply) else Renewal.LOST
    return Renewal(reply)


def _opened(reply: Any) -> Opened | Refused | None:
    if isinstance(reply, ErrorReply):
        # A slot on its way to another shard, or a shard without a primary: later.
        return None if is_passing(reply) else Refused(reply.text)
    if isinstance(reply, int):
        return Opened("", None) if reply else None
    if reply[0] == 0:
        return None
    if reply[0] == -1:
        return Refused(f"the key holds a {reply[1]}, not a stream")
    return Opened(reply[1] or None, reply[2] if reply[2] >= 0 else None, reply[3])
