"""A minute in the life of a cluster: one mishap after the other under load, and what users may rely on all the same."""

from __future__ import annotations

import contextlib
import os
import random
import signal

import pytest
from redis.crc import key_slot

from geartrain import Client
from geartrain.registry import hooks
from geartrain.server import EmbeddedCluster, EmbeddedServer
from geartrain.server.clusternodes import ClusterNode
from geartrain.wire import Endpoint, Link
from support.clusterload import SCRIPT, ClusterLoad, missing, out_of_order, owner_changes
from support.servers import VALKEY
from support.waiting import wait_for
from support.workers import WorkerProcess

STREAMS = [f"load:stream:{number}" for number in range(20)]
KEYS = [f"load:key:{number}" for number in range(100)]

CHANGES = 4
"""Times that a stream may go from one process to another because of one mishap, zombies' last batches included."""


class Life:
    """The cluster, its workers, and what can happen to them."""

    def __init__(self, cluster: EmbeddedCluster, start_worker, seed: random.Random) -> None:
        self.cluster = cluster
        self.seed = seed
        self._start_worker = start_worker
        self.workers: list[WorkerProcess] = [start_worker(cluster.url) for _ in range(2)]

    def a_primary_is_killed(self) -> None:
        """And its replica takes over; later it comes back, as a replica."""
        node = self.seed.choice(self.cluster.primaries())
        self.cluster.kill(node)
        self.cluster.wait_ok()
        self.cluster.restart(node)

    def a_worker_is_killed(self) -> None:
        """Another one is started."""
        self.workers.pop(self.seed.randrange(len(self.workers))).kill()
        self.workers.append(self._start_worker(self.cluster.url))

    def a_shard_is_added_and_gets_slots(self) -> None:
        """Key by key, some of each shard's."""
        donors = self.cluster.primaries()
        node = self.cluster.add_shard(replicas=1)
        wait_for(lambda: _hooks_of(node), 10, "hooks on a shard without slots")
        for donor in donors:
            slots = self.cluster.slots_of(donor)
            self.cluster.move_slots(self.seed.sample(slots, len(slots) // 20), node)

    def slots_with_streams_move(self) -> None:
        """Those of some streams and keys, to another shard."""
        primaries = self.cluster.primaries()
        for name in self.seed.sample(STREAMS, 4) + self.seed.sample(KEYS, 10):
            owner = self.cluster.primary_of(name)
            target = self.seed.choice([node for node in primaries if node is not owner])
            self.cluster.move_slots([key_slot(name.encode())], target)

    def a_node_is_silent_for_a_while(self) -> None:
        """As if its link were cut: it is stopped, and goes on with what it knew."""
        node = self.seed.choice(self.cluster.primaries())
        witness = next(other for other in self.cluster.nodes if other is not node)
        os.kill(node.server.pid, signal.SIGSTOP)
        try:
            wait_for(lambda: not witness.members()[node.id].slots, 30, "somebody else to have its slots")
        finally:
            os.kill(node.server.pid, signal.SIGCONT)


@pytest.mark.timeout(420)
@pytest.mark.servers(VALKEY, "redis-8.2")
def test_nothing_acknowledged_is_lost_and_order_is_kept_through_a_minute_of_mishaps(
    flavour: str, make_cluster, valkey: EmbeddedServer, start_worker, seed: random.Random
) -> None:
    """Every acknowledged number has an effect, first effects are in order, and all shards have the same hooks."""
    cluster = make_cluster(flavour, shards=3, replicas=1, module={})
    Client(cluster.url).execute(SCRIPT.replace("SINK_PORT", str(valkey.port)), session="chaos")
    life = Life(cluster, start_worker, seed)
    mishaps = [
        life.a_primary_is_killed,
        life.a_worker_is_killed,
        life.slots_with_streams_move,
        life.a_node_is_silent_for_a_while,
        life.a_shard_is_added_and_gets_slots,
        life.a_primary_is_killed,
    ]
    seed.shuffle(mishaps)
    with Link(Endpoint(valkey.url)) as sink, ClusterLoad(cluster.url, STREAMS, KEYS, seed) as load:
        for mishap in mishaps:
            load.wait(1000)
            print(f"after {load.total} writes: {mishap.__name__}")
            mishap()
            cluster.wait_ok()
        load.wait(1000)
    with Link(Endpoint(valkey.url)) as sink:
        with contextlib.suppress(AssertionError):
            wait_for(lambda: not missing(sink, load.acknowledged), 150)
        assert missing(sink, load.acknowledged) == {}
        assert out_of_order(sink, STREAMS) == {}
        assert out_of_order(sink, KEYS) == {}
        # A worker that has lost a stream may end the batch that runs, while its next owner begins.
        assert max(owner_changes(sink, name) for name in STREAMS) <= CHANGES * len(mishaps)
    wait_for(lambda: _hooks_are_equal(cluster), 10, "the same hooks on all shards")


def _hooks_are_equal(cluster: EmbeddedCluster) -> bool:
    found = [_hooks_of(node) for node in cluster.primaries()]
    return "keys" in found[0] and all(item == found[0] for item in found)


def _hooks_of(node: ClusterNode) -> dict[str, int]:
    """The hooks of a node, and their versions."""
    with Link(Endpoint(node.url)) as link:
        module = hooks.read(link)
    return {} if module is None else {name: hook.version for name, hook in module.hooks.items()}
