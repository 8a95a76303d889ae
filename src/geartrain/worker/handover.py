"""Keys that have moved to another shard: their events of before lie in one outbox, those of after in another.

The second outbox must not overtake the first, or the order of a key's events would be lost. So before the first event
of a slot that came from elsewhere is executed, all of the registration's other outboxes have to be done with what is
older than it: by the time in the entries' ids, which is that of the servers' clocks. Of two outboxes that wait for each
other the one with the older entry goes on, so that nobody waits for ever. What was learned of the others (the time of
the oldest entry that waits in one of them) is true for all slots that had come by then; on a cluster whose slots stay
where they are nothing is ever asked.

Not kept, and said so in the guarantees: the order across a move where the servers' clocks differ by more than the move
takes, or for a worker that was started within moments of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from geartrain import keys
from geartrain.errors import ServerUnavailable
from geartrain.keys import slot_of
from geartrain.readers.entries import fields_of, id_parts
from geartrain.text import to_bytes
from geartrain.wire import ClusterLink, ErrorReply, Shard, Topology, is_passing

PATIENCE = 30.0
"""Seconds that an event waits for older ones of other outboxes that stand still: one of them may be out of reach."""


_NEVER = (0, b"")
_ALWAYS = (2**63, b"")


class Behind(ServerUnavailable):
    """Another outbox has older entries: later.

    Attributes:
        wait: seconds until it is worth another look.
    """

    wait = 0.05


class Handover:
    """Of one outbox.

    Args:
        registration: whose.
        outbox: its name.
    """

    def __init__(self, registration: str, outbox: bytes) -> None:
        self._registration = registration
        self._outbox = outbox
        self._outbox_slot = slot_of(outbox)
        self._passed: dict[int, float] = {}
        self._waiting_since = 0.0
        # Up to here the others are done, as far as slots are concerned that had moved when they were asked.
        self._horizon = _NEVER
        self._asked = 0.0

    def check(self, entries: Sequence[list[Any]], link: ClusterLink) -> None:
        """Raise `Behind` where an entry's slot came from another shard and that is not settled yet."""
        arrived = self._arrived(entries, link)
        if not arrived:
            return
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        latest = (max(id_parts(entry_id) for _, entry_id in arrived)[0], self._outbox)
        moved = max(link.topology.moved_at.get(slot, 0.0) for slot, _ in arrived)
        if moved >= self._asked or latest >= self._horizon:
            before, self._horizon, self._asked = self._horizon, self._oldest_of_others(link), now
            if self._horizon != before:
                # They go on.
                self._waiting_since = now
        if now - self._waiting_since < PATIENCE and latest >= self._horizon:
            raise Behind(f"{self._registration}: events of a moved key wait for those before the move")
        self._waiting_since = 0.0
        for slot, _ in arrived:
            self._passed[slot] = now

    def _arrived(self, entries: Iterable[list[Any]], link: ClusterLink) -> list[tuple[int, str]]:
        """The slots that came from elsewhere and have not been looked at since, each with the id of an entry."""
        topology = link.topology
        here = topology.owner_of(self._outbox_slot)
        slots = [(slot_of(fields_of(fields)["key"]), entry_id) for entry_id, fields in entries]
        if any(topology.owner_of(slot) is not here for slot, _ in slots):
            # It is news to us that the slot is here; or this outbox has itself been moved, and is emptied.
            topology.suspect()
            topology.refresh_if_stale()
            here = topology.owner_of(self._outbox_slot)
        return [(slot, entry_id) for slot, entry_id in slots if self._is_new(slot, topology, here)]

    def _is_new(self, slot: int, topology: Topology, here: Shard | None) -> bool:
        """Whether it has to be looked at: it has moved since the last look, or it is from elsewhere."""
        passed = self._passed.get(slot)
        if passed is None:
            return slot in topology.moved_at or topology.owner_of(slot) is not here
        return topology.moved_at.get(slot, 0.0) > passed

    def _oldest_of_others(self, link: ClusterLink) -> tuple[int, bytes]:
        """Time (ms) and outbox of the oldest entry of another outbox that is not done yet."""
        names = map(to_bytes, link.call("SMEMBERS", keys.streams(self._registration)))
        others = [name for name in names if name != self._outbox and keys.is_outbox(name)]
        group = keys.group(self._registration)
        oldest = _ALWAYS
        for name, reply in zip(others, link.pipeline([("XINFO", "GROUPS", name) for name in others]), strict=True):
            if isinstance(reply, ErrorReply):
                if is_passing(reply):
                    # Its shard cannot tell now.
                    return _NEVER
                # No such stream any more: it was emptied.
                continue
            first = link.call("XRANGE", name, f"({_offset(reply, group)}", "+", "COUNT", 1)
            if first:
                oldest = min(oldest, (id_parts(first[0][0])[0], name))
        return oldest


def _offset(groups: Iterable[list[Any]], group: bytes) -> str:
    for flat in groups:
        info = fields_of(flat)
        if to_bytes(info["name"]) == group:
            return str(info["last-delivered-id"])
    return "0-0"
