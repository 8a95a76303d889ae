"""WAIT: whether replicas have what was sent over connections."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from geartrain.errors import ServerUnavailable
from geartrain.wire import Endpoint, Link, Short, access
from support.waiting import wait_for

if TYPE_CHECKING:
    from geartrain.server import EmbeddedServer


@pytest.fixture
def pair(flavour, fresh_server) -> tuple[EmbeddedServer, EmbeddedServer]:
    """A primary, and its replica, which has its data."""
    primary, replica = fresh_server(flavour), fresh_server(flavour)
    with Link(Endpoint(replica.url)) as link:
        link.call("REPLICAOF", "127.0.0.1", primary.port)
        wait_for(lambda: "master_link_status:up" in link.call("INFO", "replication"), 30)
    return primary, replica


@pytest.mark.servers("valkey-9.1", "redis-6.2")
def test_what_replicas_have_is_acknowledged(pair):
    """Enough of them: nothing is short. One more than there are: how many acknowledged."""
    primary, _ = pair
    with Link(Endpoint(primary.url)) as link:
        link.call("SET", "key", 1)
        assert link.wait_for_replicas(1, 10) == []
        link.call("SET", "key", 2)
        assert link.wait_for_replicas(2, 0.05) == [Short(f"127.0.0.1:{primary.port}", 1)]


@pytest.mark.servers("valkey-9.1")
def test_only_what_was_sent_since_is_waited_for(pair):
    """Nothing was: no server is asked, though its replica is silent."""
    primary, replica = pair
    with Link(Endpoint(primary.url)) as link:
        link.call("SET", "key", 1)
        assert link.wait_for_replicas(1, 10) == []
        os.kill(replica.pid, signal.SIGSTOP)
        try:
            assert link.wait_for_replicas(1, 10) == []
            link.call("SET", "key", 2)
            assert len(link.wait_for_replicas(1, 0.05)) == 1
        finally:
            os.kill(replica.pid, signal.SIGCONT)


@pytest.mark.servers("valkey-9.1")
def test_what_a_lost_connection_has_sent_may_be_lost(pair):
    """It is said once, also where a new connection has been made since."""
    primary, _ = pair
    with Link(Endpoint(primary.url)) as link:
        link.call("SET", "key", 1)
        link.close()
        link.call("SET", "key", 2)
        with pytest.raises(ServerUnavailable, match="a connection was lost before replicas had acknowledged"):
            link.wait_for_replicas(1, 10)
        link.call("SET", "key", 3)
        assert link.wait_for_replicas(1, 10) == []


@pytest.mark.servers("valkey-9.1")
def test_a_server_that_is_no_primary_any_more_may_have_lost_it(pair):
    """What the new primary has is not known."""
    primary, replica = pair
    with Link(Endpoint(primary.url)) as link:
        link.call("SET", "key", 1)
        with Link(Endpoint(replica.url)) as other:
            other.call("REPLICAOF", "NO", "ONE")
        link.call("REPLICAOF", "127.0.0.1", replica.port)
        with pytest.raises(ServerUnavailable):
            link.wait_for_replicas(1, 10)


@pytest.mark.servers("valkey-9.1")
def test_all_shards_are_waited_for(cluster_flavour, make_cluster):
    """Those that were written to; a shard that is short is named, and a connection that was lost is not forgotten."""
    cluster = make_cluster(cluster_flavour, replicas=1)
    with access(Endpoint(cluster.url)) as link:
        names = [f"key:{number}" for number in range(20)]
        link.pipeline([("SET", name, 1) for name in names])
        assert link.wait_for_replicas(1, 10) == []
        link.pipeline([("SET", name, 2) for name in names])
        short = link.wait_for_replicas(2, 0.05)
        assert sorted(item.server for item in short) == sorted(str(shard) for shard in link.shards)
        assert {item.acknowledged for item in short} == {1}
        link.call("SET", names[0], 3)
        link.close()
        with pytest.raises(ServerUnavailable):
            link.wait_for_replicas(1, 10)
        assert link.wait_for_replicas(1, 10) == []
