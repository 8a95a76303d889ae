"""Connections to the nodes of a cluster, one to each that is needed; they redirect nothing."""

from __future__ import annotations

from typing import Any

from geartrain.errors import ServerUnavailable
from geartrain.wire.channel import Channel, ErrorReply
from geartrain.wire.endpoint import Address, Endpoint
from geartrain.wire.link import Link
from geartrain.wire.replication import Short, wait_for_replicas
from geartrain.wire.topology import Topology


class NodeLinks:
    """The connections of one thread.

    Args:
        endpoint: the cluster.
        topology: told of nodes that do not answer; tells of primaries that are gone.
        name: shown in the servers' `CLIENT LIST`.
        timeout: seconds without a byte from a server after which its connection counts as lost.
    """

    def __init__(self, endpoint: Endpoint, topology: Topology, name: str | None, timeout: float) -> None:
        self._endpoint = endpoint
        self._topology = topology
        self._name = name
        self._timeout = timeout
        self._links: dict[Address, Link] = {}
        self._lost_sent = False
        topology.listen(self)

    def at(self, address: Address) -> Link:
        """The connection to a node, made when it is first used."""
        link = self._links.get(address)
        if link is None:
            link = self._links[address] = Link(self._endpoint.at(address), self._name, self._timeout)
        return link

    def usable(self, address: Address) -> Link:
        """The same, where it is worth a try.

        Raises:
            ServerUnavailable: there is no connection, and the node has not answered a moment ago.
        """
        link = self.at(address)
        if not link.connected and self._topology.is_silent(address):
            raise ServerUnavailable(f"{link.endpoint.shown}: the node does not answer")
        return link

    def is_on(self, channel: Channel) -> bool:
        """Whether it is still one of the connections; asks no server."""
        return any(link.is_on(channel) for link in self._links.values())

    # -- commands ------------------------------------------------------------------------------------------------------

    def send(self, address: Address, packed: bytes) -> None:
        """Send packed commands to a node."""
        link = self.usable(address)
        try:
            link.send(packed)
        except ServerUnavailable:
            self.lost(address)
            raise

    def replies(self, address: Address, count: int) -> list[Any]:
        """Read so many replies of a node, error replies as values."""
        try:
            return self.at(address).replies(count)
        except ServerUnavailable:
            self.lost(address)
            raise

    def refusals(self, address: Address, count: int) -> list[tuple[int, ErrorReply]]:
        """As `replies`, of which only errors are wanted: each with its number, 0 is the first."""
        try:
            return self.at(address).refusals(count)
        except ServerUnavailable:
            self.lost(address)
            raise

    def exchange(self, address: Address, packed: bytes, count: int) -> list[Any]:
        """Send packed commands to a node, and read that many replies."""
        try:
            return self.at(address).exchange(packed, count)
        except ServerUnavailable:
            self.lost(address)
            raise

    # -- replicas ------------------------------------------------------------------------------------------------------

    def wait_for_replicas(self, replicas: int, seconds: float) -> list[Short]:
        """Wait until replicas have what was sent since the last call; `replication.wait_for_replicas` says more."""
        lost, self._lost_sent = self._lost_sent, False
        try:
            return wait_for_replicas(list(self._links.values()), replicas, seconds, lost=lost)
        except ServerUnavailable:
            self._topology.suspect()
            raise

    def forget_sent(self) -> None:
        """What was sent before need not be waited for."""
        self._lost_sent = False
        for link in self._links.values():
            link.forget_sent()

    # -- ends ----------------------------------------------------------------------------------------------------------

    def lost(self, address: Address) -> None:
        """A node does not answer: for a moment nobody waits for it."""
        self._topology.silent(address)
        link = self._links.pop(address, None)
        if link is not None:
            self._lost_sent |= link.sent
            link.close()

    def shard_gone(self, address: Address) -> None:
        """That node is no primary any more: whoever waits for it need not; called from another thread."""
        link = self._links.get(address)
        if link is not None:
            link.abort()

    def abort(self) -> None:
        """Let the thread that uses them, whatever it waits for, find its connection lost; from any thread."""
        for link in list(self._links.values()):
            link.abort()

    def drop(self, address: Address) -> None:
        """Close the connection to a node, if there is one: replies may still be on their way."""
        link = self._links.get(address)
        if link is not None:
            link.close()

    def close(self) -> None:
        """Close all; they can be used again."""
        links, self._links = self._links, {}
        for link in links.values():
            self._lost_sent |= link.sent
            link.close()
