"""What a registration leaves behind, and how it is removed: outboxes, leases and groups, its part in statistics.

They lie in many slots, so no transaction has them all. What belongs to a registration that comes again under the same
id meanwhile stays nevertheless:

1. The registry is watched, and its version read: the code of whoever comes again has a higher version.
2. Hook and outboxes: each server's module deletes both in one moment, and neither where the hook has a higher version
   than that. Without a hook nothing is captured, so nothing in an outbox can be of the one that came again.
3. Leases: only where they hold what they held before the registry was read. Groups: one that was in use again is made
   again by its owner, where its commits are; one that was not is made where the registration begins.
4. In one transaction, which does nothing if the registry has changed: statistics, history, the names of streams, and
   the id in the set `remains`.

The id is in that set from the transaction on that removes the registration. So whoever ends in between, or finds a
shard away, leaves the rest to the next worker that looks.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from geartrain import keys
from geartrain.errors import CommandError, ServerUnavailable
from geartrain.text import to_bytes
from geartrain.wire import Access, ClusterLink, Command, ErrorReply, Link, Script, Shard, raise_for
from geartrain.wire.channel import UNAVAILABLE

logger = logging.getLogger("geartrain.registry")

HOOK = "GEARTRAIN.HOOK"

_FORGET = Script.of("geartrain.registry", "lua/forget.lua")


def tags(link: Access) -> list[bytes]:
    """The hash tags under which a cluster's shards have kept something; none on one server, which needs none."""
    return sorted(map(to_bytes, link.call("SMEMBERS", keys.TAGS))) if isinstance(link, ClusterLink) else []


def shard_keys(registration: str, known_tags: Iterable[bytes]) -> list[bytes]:
    """Where shards keep their parts of what the registry has about a registration."""
    kinds = (keys.shard_stats, keys.shard_history, keys.shard_streams)
    return [name(tag, registration) for tag in known_tags for name in kinds]


def streams(link: Access, registration: str, known_tags: Iterable[bytes]) -> list[bytes]:
    """The streams that have the registration's group (or had it, where one was deleted since), and its outboxes."""
    replies = link.pipeline([("SMEMBERS", name) for name in stream_sets(registration, known_tags)])
    return sorted({to_bytes(stream) for reply in replies for stream in _checked(reply)})


def stream_sets(registration: str, known_tags: Iterable[bytes]) -> list[bytes]:
    """The keys that hold the names of its streams: the registry's, and each shard's part."""
    return [keys.streams(registration), *(keys.shard_streams(tag, registration) for tag in known_tags)]


def remove(link: Access, registration: str) -> bool:
    """Remove what a registration that is gone has left; False: the registry changed meanwhile, call it again.

    What is on a shard that is away stays for a later call.
    """
    known_tags = tags(link)
    try:
        found = streams(link, registration, known_tags)
    except ServerUnavailable as error:
        logger.warning("%s: what it has left is removed later: %s", registration, error)
        return True
    held = _held(link, [keys.lease(registration, stream) for stream in found])
    _, there, version = map(_checked, link.pipeline([
        ("WATCH", keys.VERSION), ("HEXISTS", keys.REGISTRATIONS, registration), ("GET", keys.VERSION),
    ]))  # fmt: skip
    if there:
        link.call("UNWATCH")
        return True
    outboxes = [stream for stream in found if keys.is_outbox(stream)]
    names = [*outboxes, *shard_keys(registration, known_tags)]
    whole = _remove_captured(link, registration, int(version or 0), names)
    if not (_remove_leases(link, registration, found, held) and whole):
        link.call("UNWATCH")
        return True
    commands: list[Command] = [
        ("DEL", keys.stats(registration), keys.history(registration), keys.streams(registration)),
        ("SREM", keys.REMAINS, registration),
    ]
    return link.transaction(commands) is not None


def by_shard(link: Access, names: Iterable[bytes]) -> dict[Shard, list[bytes]]:
    """All shards, each with those of the keys that it serves.

    Raises:
        ServerUnavailable: a key's slot is served by nobody.
    """
    found: dict[Shard, list[bytes]] = {shard: [] for shard in link.shards}
    for name in names:
        found.setdefault(link.shard_of(name), []).append(name)
    return found


def _held(link: Access, leases: Sequence[bytes]) -> list[Any] | None:
    """What leases hold; None: a shard is away."""
    try:
        return link.pipeline([("GET", lease) for lease in leases])
    except ServerUnavailable:
        return None


def _remove_captured(link: Access, registration: str, version: int, names: Sequence[bytes]) -> bool:
    """Remove hook, outboxes and parts of statistics on all shards; whether all of them answered."""
    try:
        shards = by_shard(link, names)
    except ServerUnavailable:
        return False
    whole = True
    for shard, here in shards.items():
        try:
            _remove_on(link.on(shard), registration, version, here)
        except ServerUnavailable as error:
            whole = False
            logger.warning("%s: what it has left on the shard %s is removed later: %s", registration, shard, error)
    return whole


def _remove_on(link: Link, registration: str, version: int, names: Sequence[bytes]) -> None:
    reply = link.pipeline([(HOOK, "DEL", registration, version, "UNLINK", *names)])[0]
    if not isinstance(reply, ErrorReply):
        return
    error = CommandError(HOOK, reply.text)
    if error.is_unknown:
        # No module, so nothing comes into an outbox any more.
        link.pipeline([("UNLINK", name) for name in names])
    elif error.code != "NOPERM":
        # Where we may not, the next worker that may finds a hook without a registration.
        raise_for(reply, (HOOK,))


def _remove_leases(link: Access, registration: str, found: Sequence[bytes], held: Sequence[Any] | None) -> bool:
    """Leases, then groups: without its lease, a worker that is just committing cannot make the group again.

    Whether all shards answered.
    """
    if held is None:
        return False
    calls = [
        (_FORGET, [keys.lease(registration, stream), keys.tries(registration, stream)], ["" if was is None else was])
        for stream, was in zip(found, held, strict=True)
        if not isinstance(was, ErrorReply)
    ]
    # Each by itself: one stream that this user may not touch keeps its group, and nothing else.
    groups = [stream for stream in found if not keys.is_outbox(stream)]
    try:
        replies = link.scripts(calls)
        link.pipeline([("XGROUP", "DESTROY", stream, keys.group(registration)) for stream in groups])
    except ServerUnavailable as error:
        logger.warning("%s: the groups that it has left are removed later: %s", registration, error)
        return False
    return not any(isinstance(reply, ErrorReply) and _is_away(reply) for reply in replies)


def _is_away(reply: ErrorReply) -> bool:
    """Whether an error reply says that a shard does not serve now."""
    return reply.code in UNAVAILABLE


def _checked(reply: Any) -> Any:
    if isinstance(reply, ErrorReply):
        raise_for(reply, ("GET",))
    return reply
