"""A shard: one primary, with the slots that it serves. A server that is no cluster is one shard with all slots."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from geartrain.keys import SLOTS, slot_tag
from geartrain.wire.endpoint import Address

LAST_SLOT = SLOTS - 1


@dataclass(frozen=True, slots=True)
class Shard:
    """One primary with the slots that it serves.

    Attributes:
        primary: its address; it names the shard until the next failover.
        node: the primary's id in the cluster; '' where there is no cluster.
        slots: ranges (first, last) in order; a shard that has none is not listed.
        replicas: addresses.
    """

    primary: Address
    node: str = ""
    slots: tuple[tuple[int, int], ...] = ((0, LAST_SLOT),)
    replicas: tuple[Address, ...] = field(default=(), compare=False)

    @property
    def tag(self) -> str:
        """A hash tag of a slot that it serves: a key with `{tag}` in its name is a key of this shard."""
        return slot_tag(self.slots[0][0]).decode()

    def has(self, slot: int) -> bool:
        """Whether it serves the slot."""
        return any(first <= slot <= last for first, last in self.slots)

    def __str__(self) -> str:
        return str(self.primary)


def moved_slots(before: Iterable[Shard], after: Iterable[Shard]) -> set[int]:
    """The slots that another shard serves now, while the one that did is still there: not those of a failover."""
    now = {shard.primary: shard for shard in after}
    moved: set[int] = set()
    for shard in before:
        if shard.primary in now:
            moved |= _slots(shard) - _slots(now[shard.primary])
    served = set().union(*map(_slots, now.values()))
    return moved & served


def _slots(shard: Shard) -> set[int]:
    return {slot for first, last in shard.slots for slot in range(first, last + 1)}
