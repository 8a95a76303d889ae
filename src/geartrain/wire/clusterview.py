"""What one node of a cluster says about all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from geartrain.errors import CommandError
from geartrain.text import to_bytes
from geartrain.wire.channel import ErrorReply
from geartrain.wire.endpoint import Address, Endpoint
from geartrain.wire.link import Link
from geartrain.wire.members import UNUSABLE, parse_members
from geartrain.wire.shard import Shard

ASK_TIMEOUT = 2.0
"""Seconds without a byte after which another node is asked."""


@dataclass(frozen=True, slots=True)
class View:
    """A node's view.

    Attributes:
        epoch: of two views the one with the later epoch is newer.
        healthy: whether the node takes the cluster for one that serves.
        shards: those that serve slots.
        spares: primaries that serve none (yet).
    """

    epoch: int
    healthy: bool
    shards: tuple[Shard, ...]
    spares: tuple[Shard, ...]


def view_of(endpoint: Endpoint, asked: Address) -> View:
    """Ask a node.

    Args:
        endpoint: the node.
        asked: its address.

    Raises:
        ServerUnavailable: it does not answer.
        CommandError: it refuses to tell the slots.
    """
    with Link(endpoint, timeout=ASK_TIMEOUT) as link:
        info, slots, nodes = link.pipeline([("CLUSTER", "INFO"), ("CLUSTER", "SLOTS"), ("CLUSTER", "NODES")])
    if isinstance(slots, ErrorReply):
        raise CommandError("CLUSTER", slots.text)
    facts = {} if isinstance(info, ErrorReply) else dict(_facts(str(info)))
    return View(
        int(facts.get("cluster_current_epoch", 0)),
        facts.get("cluster_state") != "fail",
        tuple(_shards(slots, asked)),
        () if isinstance(nodes, ErrorReply) else tuple(_spares(_text(nodes), asked)),
    )


def _facts(text: str) -> Iterable[tuple[str, str]]:
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            yield name, value


def _shards(reply: list[Any], asked: Address) -> list[Shard]:
    """The shards in a reply of CLUSTER SLOTS: `[first, last, [host, port, id, ...], replica, ...]` for each range."""
    slots: dict[Address, list[tuple[int, int]]] = {}
    nodes: dict[Address, tuple[str, tuple[Address, ...]]] = {}
    for first, last, primary, *replicas in reply:
        address = _address(primary, asked)
        slots.setdefault(address, []).append((int(first), int(last)))
        nodes[address] = (_text(primary[2]), tuple(_address(node, asked) for node in replicas))
    return [
        Shard(address, nodes[address][0], tuple(sorted(ranges)), nodes[address][1]) for address, ranges in slots.items()
    ]


def _address(node: list[Any], asked: Address) -> Address:
    """A node's address; one that does not know its own has the host under which we asked."""
    host = _text(node[0]) if node[0] else ""
    return Address(host if host not in {"", "?"} else asked.host, int(node[1]))


def _text(value: str | bytes) -> str:
    return to_bytes(value).decode("utf-8", "replace")


def _spares(text: str, asked: Address) -> Iterable[Shard]:
    """Primaries without slots in a reply of CLUSTER NODES."""
    for member in parse_members(text).values():
        if member.primary is None and "master" in member.flags and not member.flags & UNUSABLE and not member.slots:
            yield Shard(member.address_from(asked), member.id, ())
