"""How far a registration is behind, on each of its streams and on each shard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geartrain import keys
from geartrain.errors import CommandError
from geartrain.readers.entries import fields_of
from geartrain.registry import Store, remains
from geartrain.registry.partial import ask, is_away, shard_of
from geartrain.text import to_bytes
from geartrain.wire import Access, ClusterLink, ErrorReply

_COUNTED = 10_000
"""Entries that are counted, where a server keeps no count itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardLag:
    """How far a registration is behind on one shard of a cluster.

    Attributes:
        shard: `host:port` of its primary.
        streams: how many of the registration's streams (or outboxes) it has.
        lag: their entries that are not committed yet; None where the shard cannot tell, or is away.
    """

    shard: str
    streams: int
    lag: int | None


def lags_of(store: Store, registration: str) -> dict[bytes, int | None]:
    """For each stream: entries that are not committed yet; None where the server cannot tell, or is away.

    Outboxes in which no event was captured yet are left out, as streams are that no worker has found.
    """
    streams = _streams(store.link, registration)
    group = keys.group(registration)
    replies = ask(store.link, [(stream, ("XINFO", "GROUPS", stream)) for stream in streams])
    found: dict[bytes, int | None] = {}
    for stream, reply in zip(streams, replies, strict=True):
        if is_away(reply):
            found[stream] = None
        if isinstance(reply, ErrorReply):
            continue
        if not reply and keys.is_outbox(stream):
            # No worker has come yet: all of it waits.
            found[stream] = _length(store.link, stream)
        for item in reply:
            info = fields_of(item)
            if to_bytes(info["name"]) == group:
                lag = info.get("lag")
                found[stream] = int(lag) if lag is not None else _counted(store.link, stream, info)
        # Known, and taken by no worker yet: what of it will be executed is found out then.
        found.setdefault(stream, None)
    return found


def total(lags: Iterable[int | None]) -> int | None:
    """All together; None where one is not known."""
    whole = 0
    for lag in lags:
        if lag is None:
            return None
        whole += lag
    return whole


def shard_name(link: Access, stream: bytes) -> str | None:
    """The shard that has a stream, as `host:port`; None where there is no cluster, or nobody serves it."""
    shard = shard_of(link, stream) if isinstance(link, ClusterLink) else None
    return None if shard is None else str(shard)


def by_shard(link: Access, streams: Sequence[tuple[str | None, int | None]]) -> list[ShardLag]:
    """For each shard of a cluster, those without a stream too; [] where there is no cluster, or no stream is known.

    Args:
        link: of the cluster.
        streams: each stream's shard, as `shard_name` has it, and its lag.
    """
    if not streams or not isinstance(link, ClusterLink):
        return []
    found = []
    for shard in link.shards:
        here = [lag for name, lag in streams if name == str(shard)]
        found.append(ShardLag(shard=str(shard), streams=len(here), lag=total(here)))
    return found


def _streams(link: Access, registration: str) -> list[bytes]:
    """As `Store.streams`, without what only a shard that is away knows."""
    names = remains.stream_sets(registration, remains.tags(link))
    replies = ask(link, [(name, ("SMEMBERS", name)) for name in names])
    return sorted({to_bytes(stream) for reply in replies if not isinstance(reply, ErrorReply) for stream in reply})


def _length(link: Access, stream: bytes) -> int | None:
    reply = ask(link, [(stream, ("XINFO", "STREAM", stream))])[0]
    return None if isinstance(reply, ErrorReply) else int(fields_of(reply)["length"])


def _counted(link: Access, stream: bytes, info: Mapping[str, Any]) -> int | None:
    """Where the server keeps no count (before 7.0, or after deletions): 0, or counted up to a bound."""
    after = info["last-delivered-id"]
    try:
        reply = link.call("XRANGE", stream, f"({after}", "+", "COUNT", _COUNTED)
    except CommandError:
        return None
    return len(reply) if len(reply) < _COUNTED else None
