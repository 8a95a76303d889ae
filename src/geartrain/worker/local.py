"""The shard that a worker with `--local` takes: found by one of its nodes, and followed through failovers.

A shard has no name of its own; its nodes are what lasts. Of the nodes that were in it when it was last seen, one is its
primary after a failover.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from geartrain.errors import ArgumentError, CommandError
from geartrain.wire import Endpoint, Link, Shard, parse_members, topology_of

logger = logging.getLogger("geartrain.worker")


class LocalShard:
    """One shard, whatever node its primary is.

    Args:
        nodes: `host:port,host:port`, as the cluster names them.
    """

    def __init__(self, nodes: str) -> None:
        self._primary = nodes.partition(",")[0]
        self._nodes = frozenset(nodes.split(","))
        self._found = True

    def primary(self, shards: Iterable[Shard]) -> str:
        """Its primary; where none of its nodes is in a shard any more, the last one that it had."""
        shard = self._among(list(shards))
        if shard is not None:
            self._primary, self._nodes = str(shard.primary), nodes_of(shard)
        elif self._found:
            logger.warning("no node of the shard of %s has slots now: there is nothing for this worker", self._primary)
        self._found = shard is not None
        return self._primary

    def _among(self, shards: list[Shard]) -> Shard | None:
        by_primary = (shard for shard in shards if str(shard.primary) in self._nodes)
        by_replica = (shard for shard in shards if nodes_of(shard) & self._nodes)
        return next(by_primary, None) or next(by_replica, None)


def nodes_of(shard: Shard) -> frozenset[str]:
    """The addresses of its nodes."""
    return frozenset(map(str, (shard.primary, *shard.replicas)))


def nodes_beside(endpoint: Endpoint, url: str) -> str:
    """The nodes of the shard that a node belongs to, its primary first: what `WorkerSettings.local` takes.

    Args:
        endpoint: the cluster.
        url: of the node, a primary or a replica.

    Raises:
        ArgumentError: there is no cluster, or the node has no part in it.
        ServerUnavailable: it does not answer.
    """
    topology = topology_of(endpoint)
    if not topology.clustered:
        raise ArgumentError(f"--local: {endpoint.shown} is no cluster, all streams are on one server")
    node = Endpoint(url)
    with Link(node) as link:
        try:
            told = str(link.call("CLUSTER", "NODES"))
        except CommandError as error:
            raise ArgumentError(f"--local: {node.shown} is no node of a cluster: {error.reply}") from error
    mine = _ids(told)
    shard = next((shard for shard in topology.shards if shard.node in mine), None)
    if shard is None:
        known = ", ".join(map(str, topology.shards))
        raise ArgumentError(f"--local: {node.shown} is in no shard of {endpoint.shown}, which has those of {known}")
    return ",".join([str(shard.primary), *map(str, shard.replicas)])


def _ids(nodes: str) -> set[str]:
    """The id of the node that tells, and its primary's."""
    mine = [member for member in parse_members(nodes).values() if "myself" in member.flags]
    return {name for member in mine for name in (member.id, member.primary) if name is not None}
