"""A minute in the life of a cluster: one mishap after the other under load, and what users may rely on all the same."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from typing import TYPE_CHECKING

import pytest
from redis.crc import key_slot

from geartrain import Client
from geartrain.registry import hooks
from geartrain.wire import Endpoint, Link
from support.clusterload import SCRIPT, ClusterLoad, missing, out_of_order, owner_changes
from support.network import ANY_ADDRESS, Addresses, Network, own_network
from support.servers import VALKEY
from support.waiting import wait_for
from support.workers import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import MakeCluster, MakeServer
    from geartrain.server import EmbeddedCluster
    from geartrain.server.clusternodes import ClusterNode

STREAMS = [f"load:stream:{number}" for number in range(20)]
KEYS = [f"load:key:{number}" for number in range(100)]

CHANGES = 4
"""Times that a stream may go from one process to another because of one mishap, zombies' last batches included."""


class Life:
    """The cluster, its workers, and what can happen to them."""

    def __init__(self, cluster: EmbeddedCluster, network: Network | None, start_worker, seed: random.Random) -> None:
        self.cluster = cluster
        self.seed = seed
        self._network = network
        self._addresses = None if network is None else Addresses(cluster)
        self._start_worker = start_worker
        self.url = cluster.url if self._addresses is None else self._addresses.url
        self.workers: list[WorkerProcess] = [start_worker(self.url) for _ in range(2)]

    def a_primary_is_killed(self) -> None:
        """And its replica takes over; later it comes back, as a replica."""
        node = self.seed.choice(self.cluster.primaries())
        self.cluster.kill(node)
        self.cluster.wait_ok()
        self.cluster.restart(node)
        self._give_addresses()

    def a_worker_is_killed(self) -> None:
        """Another one is started."""
        self.workers.pop(self.seed.randrange(len(self.workers))).kill()
        self.workers.append(self._start_worker(self.url))

    def a_shard_is_added_and_gets_slots(self) -> None:
        """Key by key, some of each shard's."""
        donors = self.cluster.primaries()
        node = self.cluster.add_shard(replicas=1)
        self._give_addresses()
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

    def the_links_of_a_primary_are_cut(self) -> None:
        """Until a replica has taken over; then it is back, with what it knew. Without a network of our own it stops."""
        node = self.seed.choice(self.cluster.primaries())
        witness = next(other for other in self.cluster.nodes if other is not node and other.server.running)
        with self._cut(node):
            wait_for(lambda: not witness.members()[node.id].slots, 30, "somebody else to have its slots")

    @contextlib.contextmanager
    def _cut(self, node: ClusterNode) -> Iterator[None]:
        if self._network is not None and self._addresses is not None:
            with self._network.cut(self._addresses.of(node)):
                yield
            return
        os.kill(node.server.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(node.server.pid, signal.SIGCONT)

    def _give_addresses(self) -> None:
        if self._addresses is not None:
            self._addresses.give()


@pytest.fixture
def network() -> Iterator[Network | None]:
    """A network of this test's own, where the machine allows one: what is started after it is in there."""
    with own_network() as network:
        yield network


@pytest.mark.timeout(420)
@pytest.mark.servers(VALKEY, "redis-8.2")
def test_nothing_acknowledged_is_lost_and_order_is_kept_through_a_minute_of_mishaps(
    flavour: str,
    network: Network | None,
    make_cluster: MakeCluster,
    fresh_server: MakeServer,
    start_worker,
    seed: random.Random,
) -> None:
    """Every acknowledged number has an effect, first effects are in order, and all shards have the same hooks."""
    sink_server = fresh_server()
    cluster = make_cluster(flavour, shards=3, replicas=1, module={}, options={} if network is None else ANY_ADDRESS)
    Client(cluster.url).execute(SCRIPT.replace("SINK_PORT", str(sink_server.port)), session="chaos")
    life = Life(cluster, network, start_worker, seed)
    mishaps = [
        life.a_primary_is_killed,
        life.a_worker_is_killed,
        life.slots_with_streams_move,
        life.the_links_of_a_primary_are_cut,
        life.a_shard_is_added_and_gets_slots,
        life.a_primary_is_killed,
    ]
    seed.shuffle(mishaps)
    with ClusterLoad(life.url, STREAMS, KEYS, seed) as load:
        for mishap in mishaps:
            load.wait(1000)
            print(f"after {load.total} writes: {mishap.__name__}")
            mishap()
            cluster.wait_ok()
        load.wait(1000)
    with Link(Endpoint(sink_server.url)) as sink:
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
