"""Follows what moves between the shards of a cluster: failovers, moved slots, new and removed shards."""

from __future__ import annotations

import logging
import time

from geartrain.wire import Topology

logger = logging.getLogger("geartrain.worker")

_INTERVAL = 1.0
"""Seconds between two looks at the slots: how long a new shard goes unnoticed where nothing is redirected."""


class Shards:
    """The main thread's view of the topology.

    Args:
        topology: shared with all connections; a thread that meets a redirection or a dead node makes it stale.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._version = topology.version
        self._primaries = frozenset(shard.primary for shard in topology.shards)
        self._due = 0.0

    def look(self) -> bool:
        """Ask the nodes where it is time; whether the shards or their slots are others than at the last look."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _INTERVAL
            self._topology.suspect()
        self._topology.refresh_if_stale()
        if self._topology.version == self._version:
            return False
        self._version = self._topology.version
        primaries = frozenset(shard.primary for shard in self._topology.shards)
        if primaries != self._primaries:
            self._primaries = primaries
            logger.info("the cluster's primaries are now %s", ", ".join(map(str, sorted(primaries))))
        return True
