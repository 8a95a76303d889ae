"""The nodes of an embedded cluster, and what each of them says about all of them (`CLUSTER NODES`).

Every node has a picture of its own, and the pictures agree some time after a change. Of itself a node knows its role
and its slots first; a slot that two nodes claim (an old primary that comes back has not heard of its successor yet)
belongs to the claim with the higher configuration epoch, as for the nodes themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from geartrain.errors import CommandError, GeartrainError, ServerUnavailable
from geartrain.server.embedded import EmbeddedServer
from geartrain.wire import UNUSABLE, Argument, Endpoint, Link, Member, parse_members

ANSWER_TIMEOUT = 5.0
"""Seconds without a byte after which a node counts as one that does not answer (a process that is stopped, say)."""

_POLL = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class ClusterNode:
    """A node of an embedded cluster. It keeps its id and its address, whatever its role and state are.

    Attributes:
        server: its server; `server.running` says whether it lives.
        id: its name in the cluster, 40 hexadecimal digits.
    """

    server: EmbeddedServer
    id: str

    @classmethod
    def of(cls, server: EmbeddedServer) -> ClusterNode:
        """The node that a running server is."""
        with _link(server) as link:
            return cls(server, str(link.call("CLUSTER", "MYID")))

    @property
    def port(self) -> int:
        """Its TCP port on 127.0.0.1."""
        return self.server.port or 0

    @property
    def url(self) -> str:
        """Its address alone: `redis://127.0.0.1:PORT`, with the password, if it has one."""
        return self.server.url

    @property
    def is_primary(self) -> bool:
        """Whether it says now that it is a primary.

        Raises:
            ServerUnavailable: it does not answer.
        """
        return self.members()[self.id].primary is None

    def link(self) -> Link:
        """A new connection to it; the caller closes it."""
        return _link(self.server)

    def call(self, *command: Argument) -> Any:
        """One command on a connection of its own; its reply.

        Raises:
            CommandError: it answered with an error.
            ServerUnavailable: it does not answer.
        """
        with self.link() as link:
            return link.call(*command)

    def members(self) -> dict[str, Member]:
        """All nodes as this one sees them, by id."""
        return parse_members(str(self.call("CLUSTER", "NODES")))

    def __repr__(self) -> str:
        return f"<ClusterNode {self.server.url.rpartition('@')[2].rpartition('/')[2]} {self.id[:8]}>"


def _link(server: EmbeddedServer) -> Link:
    return Link(Endpoint(server.url), timeout=ANSWER_TIMEOUT)


def claims(nodes: Iterable[ClusterNode]) -> dict[ClusterNode, Member]:
    """What each node that answers says of itself."""
    found = {}
    for node in nodes:
        if node.server.running:
            try:
                found[node] = node.members()[node.id]
            except ServerUnavailable:
                continue  # it is stopped, or ended just now
    return found


def owner_of(slot: int, said: dict[ClusterNode, Member]) -> ClusterNode | None:
    """Which node serves a slot; None: nobody that answers."""
    claimed = [node for node, me in said.items() if me.primary is None and any(slot in part for part in me.slots)]
    return max(claimed, key=lambda node: said[node].epoch, default=None)


def owners(said: dict[ClusterNode, Member]) -> dict[int, ClusterNode]:
    """Which node serves each slot; a slot that nobody serves is not in it."""
    served: dict[int, ClusterNode] = {}
    for node, me in sorted(said.items(), key=lambda item: item[1].epoch):
        if me.primary is None:
            served.update((slot, node) for part in me.slots for slot in part)
    return served


def heir_pending(ended: ClusterNode, others: Sequence[ClusterNode]) -> str | None:
    """Whether a replica will take over from a node, but the others do not all know yet that it has; None: no."""
    alive = {node.id for node in others}
    for node in others:
        try:
            members = node.members()
        except ServerUnavailable:
            continue
        serving = [member for member in members.values() if member.slots]
        can_vote = sum(member.id in alive for member in serving) > len(serving) // 2
        has_heir = any(member.primary == ended.id and member.id in alive for member in members.values())
        if can_vote and has_heir and any(member.id == ended.id for member in serving):
            return f"no replica has taken over from node {ended.port} yet"
    return None


def trouble(nodes: Sequence[ClusterNode]) -> str | None:
    """Why the cluster is not in order yet, for people; None: it is.

    In order: every running node reports `cluster_state:ok`, has a connection to all the others and the same picture of
    slots and roles; no slot is of a node that has ended; replicas have their primary's data.
    """
    running = [node for node in nodes if node.server.running]
    alive = {node.id for node in running}
    pictures = set()
    for node in running:
        try:
            members = node.members()
            found = _trouble_at(node, members, alive)
        except (ServerUnavailable, CommandError) as error:
            found = str(error)
        if found is not None:
            return f"node {node.port}: {found}"
        pictures.add(frozenset((m.id, m.primary, m.slots) for m in members.values() if m.id in alive))
    return "its nodes do not agree on roles and slots" if len(pictures) > 1 else None


def _trouble_at(node: ClusterNode, members: dict[str, Member], alive: set[str]) -> str | None:
    if missing := alive - members.keys():
        return f"knows {len(alive - missing)} of {len(alive)} nodes"
    if found := next(filter(None, (_trouble_with(member, alive) for member in members.values())), None):
        return found
    if "cluster_state:ok" not in str(node.call("CLUSTER", "INFO")):
        return "cluster_state is not ok"
    if members[node.id].primary is not None and "master_link_status:up" not in str(node.call("INFO", "replication")):
        return "is a replica that does not have its primary's data yet"
    return None


def _trouble_with(member: Member, alive: set[str]) -> str | None:
    if member.id not in alive:
        return f"slots are of node {member.id}, which has ended" if member.slots else None
    if not member.linked or member.flags & UNUSABLE:
        return f"has no connection to node {member.id} ({','.join(sorted(member.flags))})"
    if member.primary is not None and member.primary not in alive:
        return f"replica {member.id} is of node {member.primary}, which has ended"
    return None


def wait_until(check: Callable[[], str | None], timeout: float) -> None:
    """Wait until `check` finds nothing wrong.

    Raises:
        GeartrainError: it still does after `timeout` seconds; the message has the last that it found.
    """
    deadline = time.monotonic() + timeout
    while (found := check()) is not None:
        if time.monotonic() > deadline:
            raise GeartrainError(f"the cluster is not in order after {timeout:g} seconds: {found}")
        time.sleep(_POLL)
