"""Slots that move from one primary to another, with the keys in them.

Key by key, as every server can: for each slot

1. the target expects it (`IMPORTING`), the source gives it away (`MIGRATING`): for a key that it does not have any more
   the source sends clients to the target (`ASK`), so that no new key comes into it there;
2. its keys are moved, some at a time (`MIGRATE`);
3. the target owns it, the source hears so, then the other primaries (`NODE`). The target first: if it ended between,
   a slot that the source had given away already would be nobody's.

Atomically, as Valkey 9 can: the server copies the slots as it copies data to a replica, and hands them over at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Any

from geartrain.errors import CommandError, GeartrainError
from geartrain.server.clusternodes import ClusterNode, wait_until
from geartrain.server.configuration import HOST
from geartrain.wire import Command, ErrorReply, Link, pack_all, raise_for

KEYS = 100
"""Keys that one MIGRATE moves; source and target serve nobody else meanwhile."""

MIGRATE_TIMEOUT = 5000
"""Milliseconds that source and target may be silent during a MIGRATE."""

HEARD_TIMEOUT = 10.0
"""Seconds that source and target may take to know that the slots have moved."""

REPLICA_TIMEOUT = 10.0
"""Seconds that a replica may take to be in step again, before which slots cannot be moved."""

_SLOTS = 100
"""Slots that are under way at the same time."""

_LINKS = 20
"""Connections to each node: since Valkey 8 each SETSLOT waits, on its connection, until the replicas have it too."""

_POLL = 0.02


def move_keys(source: ClusterNode, target: ClusterNode, others: Sequence[ClusterNode], slots: Sequence[int]) -> None:
    """Move slots of one source, key by key.

    Args:
        source: the primary that owns them all.
        target: another primary.
        others: the other primaries, to be told.
        slots: their numbers.
    """
    with ExitStack() as stack:
        from_, to, *rest = (
            [stack.enter_context(node.link()) for _ in range(_LINKS)] for node in (source, target, *others)
        )
        remaining = iter(slots)
        while part := list(islice(remaining, _SLOTS)):
            _all(to, [("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id) for slot in part])
            _all(from_, [("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id) for slot in part])
            for slot in part:
                _empty(from_[0], target, slot)
            handover = [("CLUSTER", "SETSLOT", slot, "NODE", target.id) for slot in part]
            _all(to, handover)
            for links in (from_, *rest):
                # Errors of these do not matter: they may have heard it from the target already, over the bus, and a
                # source without slots has become its replica then, which takes no such command.
                _send(links, handover)
    wait_until(lambda: _unheard(source, target, slots), HEARD_TIMEOUT)


def _unheard(source: ClusterNode, target: ClusterNode, slots: Sequence[int]) -> str | None:
    """What source and target have not taken in yet."""
    claimed = {node: {slot for part in node.members()[node.id].slots for slot in part} for node in (source, target)}
    if kept := claimed[source] & set(slots):
        return f"node {source.port} still serves {len(kept)} slots that it gave away"
    if missing := set(slots) - claimed[target]:
        return f"node {target.port} does not serve {len(missing)} slots that it was given"
    return None


def _all(links: Sequence[Link], commands: Sequence[Command]) -> None:
    """Send commands, spread over a node's connections; raise where one is refused.

    While a replica is not in step, as one that was started a moment ago, Valkey refuses to move slots: tried again.
    """
    until = time.monotonic() + REPLICA_TIMEOUT
    while commands:
        refused = [(command, reply) for command, reply in _send(links, commands) if isinstance(reply, ErrorReply)]
        for command, reply in refused:
            if reply.code != "NOREPLICAS" or time.monotonic() > until:
                raise_for(reply, command)
        commands = [command for command, _ in refused]
        if commands:
            time.sleep(_POLL)


def _send(links: Sequence[Link], commands: Sequence[Command]) -> list[tuple[Command, Any]]:
    """Send commands, spread over a node's connections, in no order; commands with their replies."""
    shares = [(link, commands[index :: len(links)]) for index, link in enumerate(links)]
    for link, share in shares:
        link.send(pack_all(share))
    return [pair for link, share in shares for pair in zip(share, link.replies(len(share)), strict=True)]


def _empty(source: Link, target: ClusterNode, slot: int) -> None:
    """Move the keys of one slot."""
    password = target.server.password
    login = ("AUTH", password) if password else ()
    while keys := source.call("CLUSTER", "GETKEYSINSLOT", slot, KEYS):
        source.call("MIGRATE", HOST, target.port, "", 0, MIGRATE_TIMEOUT, "REPLACE", *login, "KEYS", *keys)


def move_atomically(source: ClusterNode, target: ClusterNode, slots: Iterable[int], timeout: float) -> None:
    """Move slots of one source by the server's own slot migration (Valkey 9).

    Raises:
        GeartrainError: the server cannot do it, the migration failed (with the server's reason), or it took more than
            `timeout` seconds.
    """
    ranges = [number for part in spans(slots) for number in (part[0], part[-1])]
    try:
        source.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *ranges, "NODE", target.id)
    except CommandError as error:
        if "nknown subcommand" not in error.reply:
            raise
        raise GeartrainError(
            f"node {source.port} does not move slots atomically, Valkey >= 9 does: {error.reply}"
        ) from error
    deadline = time.monotonic() + timeout
    while (job := _last_job(source))["state"] != "success":
        if job["state"] in {"failed", "cancelled", "canceled"}:
            raise GeartrainError(f"node {source.port}: the migration of slots {job['state']}: {job.get('message')}")
        if time.monotonic() > deadline:
            raise GeartrainError(f"node {source.port}: the migration of slots is {job['state']} after {timeout:g} s")
        time.sleep(_POLL)


def _last_job(source: ClusterNode) -> dict[str, Any]:
    """The newest migration that the node knows of."""
    jobs = source.call("CLUSTER", "GETSLOTMIGRATIONS")
    fields = jobs[0]
    return dict(zip(fields[::2], fields[1::2], strict=True))


def spans(slots: Iterable[int]) -> Iterator[range]:
    """The slots as ranges, in order: 1, 2, 3, 7 are 1-3 and 7-7."""
    begin = end = None
    for slot in sorted(set(slots)):
        if end is not None and begin is not None and slot == end:
            end += 1
            continue
        if begin is not None and end is not None:
            yield range(begin, end)
        begin, end = slot, slot + 1
    if begin is not None and end is not None:
        yield range(begin, end)
