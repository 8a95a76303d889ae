"""Follows what moves between the shards of a cluster: failovers, moved slots, new and removed shards."""

from __future__ import annotations

import logging
import time

from geartrain.keys import slot_of
from geartrain.wire import Topology
from geartrain.worker.leases import KEY_EVENTS
from geartrain.worker.local import LocalShard

logger = logging.getLogger("geartrain.worker")

_INTERVAL = 1.0
"""Seconds between two looks at the slots: how long a new shard goes unnoticed where nothing is redirected."""


class Shards:
    """The main thread's view of the topology.

    Args:
        topology: shared with all connections; a thread that meets a redirection or a dead node makes it stale.

    Attributes:
        clustered: whether there is a cluster.
        local: nodes (`host:port,host:port`) of the one shard whose streams this worker takes; '': it takes all.
    """

    def __init__(self, topology: Topology, local: str = "") -> None:
        self.clustered = topology.clustered
        self._topology = topology
        self._local = LocalShard(local) if local else None
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

    @property
    def local(self) -> str | None:
        """The primary of the shard whose streams this worker takes, through failovers; None: it takes all."""
        return None if self._local is None else self._local.primary(self._topology.shards)

    def primary_of(self, stream: bytes) -> str | None:
        """The primary of a stream's shard; None: it has none at the moment, or is no stream."""
        if stream == KEY_EVENTS:
            return None
        shard = self._topology.owner_of(slot_of(stream))
        return None if shard is None else str(shard.primary)
