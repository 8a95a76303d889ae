"""What a node says of all nodes of its cluster: the reply of `CLUSTER NODES`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from geartrain.wire.endpoint import Address

UNUSABLE = frozenset({"handshake", "noaddr", "fail", "fail?"})
"""Flags of nodes that are not reached, or not yet."""


@dataclass(frozen=True, slots=True)
class Member:
    """A node, as some node sees it: one line of `CLUSTER NODES`.

    Attributes:
        id: its name in the cluster, 40 hexadecimal digits.
        address: where it is; a host of '' is the one under which the node that tells was asked.
        flags: `master`, `slave`, `fail`, ... as the server has them.
        primary: the id of its primary; None: it is a primary itself.
        epoch: its configuration epoch: of two claims on a slot, the higher one holds.
        linked: whether the one who says it has a connection to it.
        slots: the ranges of slots that it serves.
    """

    id: str
    address: Address
    flags: frozenset[str]
    primary: str | None
    epoch: int
    linked: bool
    slots: tuple[range, ...]

    def address_from(self, asked: Address) -> Address:
        """Its address, for those who asked at `asked`."""
        return self.address if self.address.host else Address(asked.host, self.address.port)


def parse_members(text: str) -> dict[str, Member]:
    """The reply of `CLUSTER NODES`, by id."""
    members = [_parse_member(line.split()) for line in text.splitlines() if line]
    return {member.id: member for member in members}


def _parse_member(words: Sequence[str]) -> Member:
    # id, host:port@bus,name, flags, primary, ping, pong, epoch, link, slots; one in brackets is being moved.
    host, _, port = words[1].partition("@")[0].rpartition(":")
    ranges = [word.partition("-") for word in words[8:] if not word.startswith("[")]
    return Member(
        id=words[0],
        address=Address(host, int(port)),
        flags=frozenset(words[2].split(",")),
        primary=None if words[3] == "-" else words[3],
        epoch=int(words[6]),
        linked=words[7] == "connected",
        slots=tuple(range(int(first), int(last or first) + 1) for first, _, last in ranges),
    )
