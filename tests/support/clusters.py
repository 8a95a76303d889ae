"""Real clusters for tests, and how one is shared: as `support.servers` has it for single servers."""

from __future__ import annotations

from geartrain.server import EmbeddedCluster
from support.servers import VALKEY, SharedServer, required

CLUSTER_FLAVOURS = (VALKEY, "redis-8.2")
"""Those that tests of clusters run against, unless they name others."""


class SharedCluster:
    """A cluster of three primaries that many tests use one after the other.

    Args:
        cluster: one that is empty.
    """

    def __init__(self, cluster: EmbeddedCluster) -> None:
        self.cluster = cluster
        self._nodes = list(cluster.nodes)
        self._servers = [SharedServer(node.server) for node in cluster.nodes]
        self._shape = self._slots()

    def reset(self) -> bool:
        """Every node as `SharedServer.reset` leaves it; False: a test has changed its nodes or slots, take another."""
        if self.cluster.nodes != self._nodes:
            return False
        for server in self._servers:
            server.reset()
        self.cluster.wait_ok()
        return self._slots() == self._shape

    def _slots(self) -> dict[str, list[int]]:
        return {node.id: self.cluster.slots_of(node) for node in self.cluster.nodes}


class ClusterPool:
    """The shared clusters of a test session, without the module: each started when a test first asks for it."""

    def __init__(self) -> None:
        self._shared: dict[str, SharedCluster] = {}

    def take(self, flavour: str) -> EmbeddedCluster:
        """The flavour's cluster, reset; skips or fails the running test where the server is not installed."""
        shared = self._shared.get(flavour)
        if shared is None or not shared.reset():
            if shared is not None:
                shared.cluster.stop()
            cluster = EmbeddedCluster.start(binary=required(flavour), module=False)
            shared = self._shared[flavour] = SharedCluster(cluster)
        return shared.cluster

    def stop(self) -> None:
        """Stop them all."""
        for shared in self._shared.values():
            shared.cluster.stop()
