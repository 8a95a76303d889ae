"""All servers that there are to check: the only one, or every node of a cluster; and what is found out on each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from geartrain.cli.health.finding import Finding, failed, ok, warning
from geartrain.cli.health.server import Facts, facts
from geartrain.errors import CommandError, ServerUnavailable
from geartrain.keys import SLOTS
from geartrain.wire import Access, Address, ClusterLink, Link, Shard, parse_members

ANSWER = 5.0
"""Seconds without a byte from a node after which it counts as away."""


@dataclass(frozen=True, slots=True)
class Node:
    """A server that answers.

    Attributes:
        name: `host:port` of a cluster's node; '' for the only server.
        replica: whether it is a replica of a cluster's shard.
        link: a connection to it.
        seen: what it says about itself.
    """

    name: str
    replica: bool
    link: Link
    seen: Facts


@dataclass(frozen=True, slots=True)
class Nodes:
    """All servers.

    Attributes:
        answering: those that answer; primaries first.
        away: the others, each with why; primaries first.
        shards: of the cluster; () where there is none.
    """

    answering: Sequence[Node]
    away: Sequence[tuple[str, str]] = ()
    shards: Sequence[Shard] = field(default=())


def nodes_of(link: Access, stack: ExitStack) -> Nodes:
    """Ask all of them; their connections are closed with the stack."""
    if not isinstance(link, ClusterLink):
        return Nodes([Node("", replica=False, link=link, seen=facts(link))])
    answering: list[Node] = []
    away: list[tuple[str, str]] = []
    for address, replica in _known(link):
        node = stack.enter_context(Link(link.endpoint.at(address), timeout=ANSWER))
        try:
            answering.append(Node(str(address), replica, node, facts(node)))
        except (ServerUnavailable, CommandError) as error:
            away.append((str(address), str(error)))
    return Nodes(answering, away, link.shards)


def _known(link: ClusterLink) -> list[tuple[Address, bool]]:
    """All nodes, also those that have failed, and whether they are replicas; primaries first, by their slots."""
    known = {shard.primary: False for shard in (*link.shards, *link.topology.spares)}
    known |= {address: True for shard in link.shards for address in shard.replicas}
    for address in list(known):
        try:
            with Link(link.endpoint.at(address), timeout=ANSWER) as node:
                told = str(node.call("CLUSTER", "NODES"))
        except (ServerUnavailable, CommandError):
            continue
        known |= {address: replica for address, replica in _told(told, address) if address not in known}
        break
    return sorted(known.items(), key=lambda item: item[1])


def _told(nodes: str, asked: Address) -> Iterator[tuple[Address, bool]]:
    """Each node's address, and whether it is a replica."""
    for member in parse_members(nodes).values():
        if not {"noaddr", "handshake"} & member.flags:
            yield member.address_from(asked), "slave" in member.flags


def on_each(nodes: Sequence[Node], check: Callable[[Node], Iterable[Finding]]) -> Iterator[Finding]:
    """A check on each node; a finding of all of them is said once, of some of them with their names."""
    found: dict[Finding, list[str]] = {}
    for node in nodes:
        for finding in check(node):
            found.setdefault(finding, []).append(node.name)
    for finding, names in found.items():
        if names == [""]:
            yield finding
        else:
            where = f"all {len(nodes)} nodes" if len(names) == len(nodes) > 1 else ", ".join(names)
            yield replace(finding, message=f"{where}: {finding.message}")


def check_cluster(nodes: Nodes) -> Iterator[Finding]:
    """Whether all slots are served, all nodes answer and agree, and a replica is there to take over."""
    check = "cluster"
    if not nodes.shards:
        return
    served = sum(last - first + 1 for shard in nodes.shards for first, last in shard.slots)
    count = len(nodes.answering) + len(nodes.away)
    if served == SLOTS:
        yield ok(check, f"{len(nodes.shards)} shards, {count} nodes; all slots are served")
    else:
        text = f"{SLOTS - served} of {SLOTS} slots are served by nobody: what has its keys there does not work"
        yield failed(check, text, "CLUSTER SLOTS  (which are), CLUSTER ADDSLOTS or a repair gives them a node")
    yield from _check_away(nodes)
    broken = [node.name for node in nodes.answering if _state(node.link) == "fail"]
    if broken:
        yield failed(check, f"cluster_state is fail, as {', '.join(broken)} see it: commands there are refused")
    alone = [str(shard) for shard in nodes.shards if not shard.replicas]
    if alone:
        text = f"{', '.join(alone)} have no replica" if len(alone) > 1 else f"{alone[0]} has no replica"
        yield warning(check, f"{text}: nobody takes over, and what is not on its disk is lost, when it fails")


def _check_away(nodes: Nodes) -> Iterator[Finding]:
    primaries = {str(shard): shard for shard in nodes.shards}
    for name, why in nodes.away:
        if name in primaries:
            slots = ", ".join(f"{first}-{last}" for first, last in primaries[name].slots)
            yield failed("cluster", f"{name}, the primary of slots {slots}, does not answer: {why}")
        else:
            yield warning("cluster", f"{name} does not answer: {why}")


def _state(link: Link) -> str:
    """What a node says of the cluster: `ok`, `fail`, or '' where it does not tell."""
    try:
        text = str(link.call("CLUSTER", "INFO"))
    except CommandError:
        return ""
    lines = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for name, _, value in lines if name == "cluster_state"), "")


def check_versions(nodes: Nodes) -> Iterator[Finding]:
    """Whether a cluster's nodes are all of one version."""
    versions = sorted({f"{node.seen.product} {node.seen.version}" for node in nodes.answering})
    if len(versions) > 1:
        yield warning("server", f"the nodes are of different versions: {', '.join(versions)}")
