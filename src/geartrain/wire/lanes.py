"""The commands of users' functions on a cluster: many, on keys of all shards, and few whose reply anybody waits for.

Each shard has a lane: commands that are packed and not sent yet, and the number of those that were. A command costs
little more here than on one server: the place of its first key is looked up by its name, its slot computed, its lane
looked up by the slot. Only what a node redirects takes the long way through `ClusterLink`.

A slot keeps its lane as long as a reply is outstanding, whatever is learned meanwhile. So commands on one key are sent
on one connection, and what is redirected follows in order. Between the lanes there is no order.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn

from geartrain.errors import ForeignShard
from geartrain.keys import SLOTS, slot_of
from geartrain.wire.channel import Argument, ErrorReply
from geartrain.wire.endpoint import Address
from geartrain.wire.link import Link

if TYPE_CHECKING:
    from geartrain.wire.cluster import ClusterLink


_PLAIN = frozenset({str, bytes})
"""Types of keys that are sent as they are."""

_PLACES = 1000
"""Names of commands, as users write them, whose first keys are remembered."""


class Lane:
    """One shard's commands.

    Attributes:
        address: the shard's primary.
        waiting: packed commands that have not been sent.
        sent: commands that have been sent and whose replies have not been read.
    """

    __slots__ = ("address", "sent", "waiting")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.waiting: list[bytes] = []
        self.sent = 0


class Lanes:
    """All lanes of one `ClusterLink`; for its thread.

    Args:
        link: the connections. Its `home` gets commands without a key; where it is `bound`, no other shard is reached.

    Attributes:
        by_slot: the lane of each slot; None: it is not known. By this and the next two, calls in C add commands.
        order: the lanes of what is outstanding, in the order of the calls.
        places: by the name of a command, which of its arguments is its first key; -1: look at the whole command.
        held: a block of `atomic()` holds the shard of `home`: until it ends no other one is reached, whatever moves.
    """

    def __init__(self, link: ClusterLink) -> None:
        self._link = link
        self._lanes: dict[Address, Lane] = {}
        self.by_slot: list[Lane | None] = [None] * SLOTS
        self.order: list[Lane] = []
        self.places: dict[str | bytes, int] = {}
        self._changes = -1
        self.held = False

    @property
    def free(self) -> bool:
        """Whether commands may go to all shards."""
        return not (self.held or self._link.bound)

    def lane(self, packed: bytes, name: str | bytes, args: Sequence[Argument]) -> Lane:
        """The lane of a command, which the caller appends to what waits there.

        Args:
            packed: the command.
            name: of the command, as it was packed.
            args: what follows.

        Raises:
            ForeignShard: the link is bound to another shard.
            ServerUnavailable: nobody serves the slot.
        """
        if not self.order:
            self._look_if_changed()
        # Each command comes by here, so the usual ones make no calls but these.
        at = self.places.get(name, -1)
        key = args[at] if 0 <= at < len(args) else None
        if type(key) is str:
            key = key.encode()
        slot = crc_hqx(key, 0) % SLOTS if type(key) is bytes and b"{" not in key else self._slot(packed, name, args)
        lane = self.by_slot[slot]
        if lane is None:
            lane = self._at(slot)
        if (self.held or self._link.bound) and lane is not self._at(self._link.home):
            self._refuse(slot, lane)
        self.order.append(lane)
        return lane

    def send(self, lane: Lane) -> None:
        """Send what waits in a lane."""
        packed = b"".join(lane.waiting)
        lane.sent += len(lane.waiting)
        lane.waiting.clear()
        try:
            self._link.nodes.send(lane.address, packed)
        except BaseException:
            self._drop()
            raise

    def refusals(self, packed: Sequence[bytes]) -> list[tuple[int, ErrorReply]]:
        """Send what waits and read all replies: those that are errors, each with its number in the order of the calls.

        Args:
            packed: the commands in that order, for those that are to be sent again.
        """
        try:
            used = [lane for lane in self._lanes.values() if lane.waiting or lane.sent]
            for lane in used:
                if lane.waiting:
                    self.send(lane)
            # One after the other: what another shard answers meanwhile waits in its socket.
            refused = [(lane, self._link.nodes.refusals(lane.address, lane.sent)) for lane in used]
        except BaseException:
            self._drop()
            raise
        for lane in used:
            lane.sent = 0
        found = [item for lane, errors in refused if errors for item in self._numbered(lane, errors)]
        found.sort(key=itemgetter(0))
        again = [(packed[at], self.order[at].address, reply) for at, reply in found] if found and not self.held else []
        self.order.clear()
        if again:
            followed = zip(found, self._link.follow(again), strict=True)
            return [(at, reply) for (at, _), reply in followed if isinstance(reply, ErrorReply)]
        return found

    def _numbered(self, lane: Lane, errors: Sequence[tuple[int, ErrorReply]]) -> Iterator[tuple[int, ErrorReply]]:
        """A lane's errors by their numbers among all lanes' calls."""
        places = [at for at, other in enumerate(self.order) if other is lane]
        return ((places[number], reply) for number, reply in errors)

    def call(self, packed: bytes, name: str | bytes, args: Sequence[Argument]) -> Any:
        """Send one command, while none is outstanding; its reply, an error reply as a value."""
        address = self.lane(packed, name, args).address
        self.order.clear()
        self._link.nodes.send(address, packed)
        reply = self._link.nodes.replies(address, 1)[0]
        if isinstance(reply, ErrorReply):
            return self._link.follow([(packed, address, reply)])[0]
        return reply

    def check(self, packed: bytes, name: str | bytes, args: Sequence[Argument]) -> None:
        """Raise what `lane` would, while no command is outstanding."""
        self.lane(packed, name, args)
        self.order.clear()

    def abandon(self) -> None:
        """Forget what waits; read, and forget, the replies to what was sent."""
        for lane in self._lanes.values():
            lane.waiting.clear()
        self.order[:] = [lane for lane in self._lanes.values() for _ in range(lane.sent)]
        held, self.held = self.held, True
        try:
            self.refusals(())
        finally:
            self.held = held

    def home(self) -> Link:
        """The connection to the shard of `home`, with all known that it takes to use it while that shard is held."""
        # Asked in a block, it might be asked of the node that the block holds, on another connection, which waits.
        self._link.command_keys()
        self._look()
        return self._link.nodes.at(self._at(self._link.home).address)

    # -- routing -------------------------------------------------------------------------------------------------------

    def _slot(self, packed: bytes, name: str | bytes, args: Sequence[Argument]) -> int:
        """The slot of a command's first key; that of `home` where it has none."""
        at = self.places.get(name)
        if at is None:
            at = self._place(name)
        if 0 <= at < len(args) and type(args[at]) in _PLAIN:
            return slot_of(args[at])
        slot = self._link.slot_of_packed(packed)
        return self._link.home if slot is None else slot

    def _refuse(self, slot: int, lane: Lane) -> NoReturn:
        here = self._link.topology.shard_of(self._link.home)
        raise ForeignShard(slot, str(lane.address), str(here), here.tag, held=self.held)

    def _place(self, name: str | bytes) -> int:
        """Where among the arguments the first key of a command of that name stands; -1: look at the whole command."""
        place = self._link.command_keys().place(name)
        at = -1 if place is None else place - 1
        if len(self.places) < _PLACES:
            self.places[name] = at
        return at

    def _at(self, slot: int) -> Lane:
        lane = self.by_slot[slot]
        if lane is None:
            lane = self.by_slot[slot] = self._to(self._link.topology.address_of(slot))
        return lane

    def _to(self, address: Address) -> Lane:
        lane = self._lanes.get(address)
        if lane is None:
            lane = self._lanes[address] = Lane(address)
        return lane

    def _look_if_changed(self) -> None:
        topology = self._link.topology
        if topology.stale or topology.changes != self._changes:
            self._look()

    def _look(self) -> None:
        """What is known of the shards may have changed."""
        if self.held:
            return
        topology = self._link.topology
        topology.refresh_if_stale()
        if topology.changes == self._changes:
            return
        self.reset()
        # Read before the addresses are: a change between the two is seen the next time.
        self._changes = topology.changes
        # All at once: keys of users are in all slots, and a slot that is looked up costs as much as a command.
        for first, last, address in topology.spans():
            self.by_slot[first : last + 1] = [self._to(address)] * (last + 1 - first)

    def _drop(self) -> None:
        """Replies may still be on their way: none of these connections can be used again."""
        for lane in self._lanes.values():
            self._link.nodes.drop(lane.address)
        self.reset()

    def reset(self) -> None:
        """Forget everything: the connections are closed."""
        self.order.clear()
        self._lanes.clear()
        self.by_slot[:] = [None] * SLOTS
        self._changes = -1
