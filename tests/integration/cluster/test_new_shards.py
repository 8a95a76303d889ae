"""A shard that joins while workers run."""

from __future__ import annotations

import pytest

from geartrain import Client
from geartrain.server import ClusterNode, EmbeddedCluster
from support.hooks import hooks
from support.waiting import wait_for

SCRIPT = "GB('KeysReader').foreach(lambda event: execute('INCR', 'seen')).register('k:*', name='keys')"


@pytest.fixture
def cluster(make_cluster, start_worker) -> EmbeddedCluster:
    """A cluster with a registration of key events, and a worker."""
    cluster = make_cluster(module={})
    Client(cluster.url).execute(SCRIPT, session="test")
    start_worker(cluster.url)
    return cluster


def has_hook(node: ClusterNode) -> bool:
    """Whether the registration's events are captured on a node."""
    with node.link() as link:
        return "keys" in hooks(link)


@pytest.mark.timeout(120)
def test_a_new_shard_gets_the_hooks_soon_after_its_first_slot_though_nobody_uses_that(cluster: EmbeddedCluster):
    """Workers look again by themselves; nothing has to be written there first."""
    shard = cluster.add_shard()
    cluster.move_slots([0], shard)
    wait_for(lambda: has_hook(shard), 10)


@pytest.mark.timeout(120)
def test_a_new_shard_has_the_hooks_before_it_gets_slots(cluster: EmbeddedCluster):
    """Or else key events that are acknowledged there in the meantime are lost."""
    shard = cluster.add_shard()
    wait_for(lambda: has_hook(shard), 10)
