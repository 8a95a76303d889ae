"""Access to a database, be it one server or a cluster: what everything but the hottest reads goes through."""

from __future__ import annotations

from geartrain.wire.cluster import ClusterLink
from geartrain.wire.endpoint import COMMAND_TIMEOUT, Endpoint
from geartrain.wire.link import Link
from geartrain.wire.topology import topology_of

Access = Link | ClusterLink
"""A connection to one server, or connections to all shards, with the same methods."""


def access(endpoint: Endpoint, name: str | None = None, timeout: float = COMMAND_TIMEOUT) -> Access:
    """Access for one thread. The first one of an endpoint finds out whether there is a cluster.

    Args:
        endpoint: the server, or nodes of the cluster.
        name: shown in the servers' `CLIENT LIST`.
        timeout: seconds without a byte from a server after which its connection counts as lost.

    Raises:
        ServerUnavailable: it is not known yet whether there is a cluster, and no node answers.
        CommandError: the server refuses the login.
        ArgumentError: there is a cluster, and the URL selects another database than 0, or asks Sentinels.
    """
    topology = topology_of(endpoint)
    if topology.clustered:
        return ClusterLink(endpoint, topology, name, timeout)
    return Link(endpoint, name, timeout)
