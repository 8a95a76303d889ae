"""The embedded cluster: it forms, fails over, grows, shrinks, moves slots, comes back from its directory, and ends."""

from __future__ import annotations

import re
import socket

import pytest
from redis.crc import key_slot

from geartrain.errors import ArgumentError, GeartrainError
from geartrain.keys import SLOTS, slot_tag
from geartrain.server import EmbeddedCluster, EmbeddedServer, holds_cluster
from geartrain.server.clusternodes import ClusterNode
from support.servers import VALKEY, required
from support.waiting import wait_for

pytestmark = pytest.mark.timeout(120)

ALL = (VALKEY, "redis-8.2", "redis-6.2")


def fill(cluster: EmbeddedCluster, count: int) -> dict[str, str]:
    """That many keys, spread over all primaries; their values."""
    values = {f"key:{number}": str(number) for number in range(count)}
    for node, keys in by_node(cluster, values).items():
        with node.link() as link:
            link.pipeline([("SET", key, values[key]) for key in keys])
    return values


def read(cluster: EmbeddedCluster, keys) -> dict[str, str]:
    """The keys' values, each read where its slot is."""
    found = {}
    for node, part in by_node(cluster, keys).items():
        with node.link() as link:
            found.update(zip(part, link.pipeline([("GET", key) for key in part]), strict=True))
    return found


def by_node(cluster: EmbeddedCluster, keys) -> dict[ClusterNode, list[str]]:
    """The keys that each node serves."""
    slots = {node: set(cluster.slots_of(node)) for node in cluster.primaries()}
    return {node: [key for key in keys if key_slot(key.encode()) in slots[node]] for node in slots}


def is_closed(port: int) -> bool:
    """Whether nothing listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.servers(*ALL)
def test_a_started_cluster_serves_all_slots_and_its_replicas_are_in_sync(cluster_flavour, make_cluster):
    """`start` returns when every node, of every flavour, says that it is in order."""
    cluster = make_cluster(cluster_flavour, replicas=1)
    assert len(cluster.nodes) == 6
    assert len(cluster.primaries()) == 3
    assert sorted(slot for node in cluster.primaries() for slot in cluster.slots_of(node)) == list(range(SLOTS))
    for primary in cluster.primaries():
        (replica,) = cluster.replicas_of(primary)
        assert primary.is_primary
        assert not replica.is_primary
        assert "master_link_status:up" in replica.call("INFO", "replication")
    for node in cluster.nodes:
        assert "cluster_state:ok" in node.call("CLUSTER", "INFO")
        assert "cluster_known_nodes:6" in node.call("CLUSTER", "INFO")


def test_the_url_names_all_nodes(cluster):
    """As users give it to the client and to workers."""
    assert cluster.url == "redis://" + ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes)
    assert cluster.urls == [f"redis://127.0.0.1:{node.port}" for node in cluster.nodes]


def test_the_node_of_a_key_is_the_one_that_serves_it(cluster):
    """As the server's own hash function has it, with and without a tag; a slot is given by its number."""
    for key in ("key", "{tag}key", b"\xff\x00{", "{}x"):
        node = cluster.primary_of(key)
        assert node.call("SET", key, 1) == "OK"
        assert cluster.primary_of(node.call("CLUSTER", "KEYSLOT", key)) is node


def test_ports_and_cluster_bus_are_on_the_loopback_address_only(cluster):
    """Other machines cannot connect, neither as clients nor as nodes."""
    for node in cluster.nodes:
        assert node.call("CONFIG", "GET", "bind") == ["bind", "127.0.0.1"]
        for port in (node.port, node.port + 10_000):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.2", port))  # refused where somebody listens on all addresses


@pytest.mark.servers(*ALL)
def test_a_replica_takes_over_and_the_old_primary_comes_back_as_one(cluster_flavour, make_cluster):
    """Killed with -9: what its replica had is there, and the node is useful again after its restart."""
    cluster = make_cluster(cluster_flavour, replicas=1)
    values = fill(cluster, 50)
    old = cluster.primary_of("key:1")
    (replica,) = cluster.replicas_of(old)
    wait_for(lambda: replica.call("DBSIZE") == old.call("DBSIZE"))
    cluster.kill(old)
    cluster.wait_ok()
    assert cluster.primary_of("key:1") is replica
    assert old not in cluster.primaries()
    assert read(cluster, values) == values
    cluster.restart(old)
    cluster.wait_ok()
    assert not old.is_primary
    assert cluster.replicas_of(replica) == [old]


def test_a_restart_waits_until_a_replica_has_taken_over(make_cluster):
    """The node comes back without data: its replica must not follow it."""
    cluster = make_cluster(replicas=1)
    values = fill(cluster, 50)
    old = cluster.primary_of("key:1")
    (replica,) = cluster.replicas_of(old)
    wait_for(lambda: replica.call("DBSIZE") == old.call("DBSIZE"))
    cluster.kill(old)
    cluster.restart(old)
    cluster.wait_ok()
    assert cluster.primary_of("key:1") is replica
    assert read(cluster, values) == values


def test_without_a_replica_the_slots_of_a_killed_node_are_nobodys(make_cluster):
    """The message says what is missing; a restart brings the node back."""
    cluster = make_cluster()
    node = cluster.primary_of(0)
    cluster.kill(node)
    with pytest.raises(GeartrainError, match="no node serves slot 0 now"):
        cluster.primary_of(0)
    with pytest.raises(GeartrainError, match=rf"not in order after 0.1 seconds: .*{node.id}"):
        cluster.wait_ok(timeout=0.1)
    cluster.restart(node)
    cluster.wait_ok()
    assert cluster.primary_of(0) is node


@pytest.mark.servers(*ALL)
def test_slots_move_to_a_new_shard_with_their_keys(cluster_flavour, make_cluster):
    """Key by key, from all primaries; the new shard's replica has them too; then the shard is removed again."""
    cluster = make_cluster(cluster_flavour)
    values = fill(cluster, 300)
    shard = cluster.add_shard(replicas=1)
    assert shard in cluster.primaries()
    assert cluster.slots_of(shard) == []
    slots = [*range(100, 250), *range(6000, 6150), 16383]
    cluster.move_slots(slots, shard)
    cluster.wait_ok()
    assert cluster.slots_of(shard) == slots
    moved = [key for key in values if shard.call("CLUSTER", "KEYSLOT", key) in set(slots)]
    assert moved
    assert shard.call("DBSIZE") == len(moved)
    (replica,) = cluster.replicas_of(shard)
    wait_for(lambda: replica.call("DBSIZE") == len(moved))
    assert read(cluster, values) == values
    with pytest.raises(GeartrainError, match=f"node {shard.port} serves {len(slots)} slots"):
        cluster.remove_shard(shard)
    cluster.remove_shard(shard, to=cluster.nodes[0])
    cluster.wait_ok()
    assert len(cluster.nodes) == 3
    assert "cluster_known_nodes:3" in cluster.nodes[0].call("CLUSTER", "INFO")
    assert read(cluster, values) == values


def test_more_keys_than_one_command_moves_are_all_moved(make_cluster):
    """A slot with many keys, and keys that are any bytes; a key with a lifetime keeps it."""
    cluster = make_cluster()
    slot = cluster.nodes[0].call("CLUSTER", "KEYSLOT", "{tag}")
    source = cluster.primary_of(slot)
    target = next(node for node in cluster.primaries() if node is not source)
    keys = [b"{tag}\xff\x00%d" % number for number in range(450)]
    with source.link() as link:
        link.pipeline([("SET", key, key, "PX", 60_000) for key in keys])
    cluster.move_slots([slot], target)
    cluster.wait_ok()
    with target.link() as link:
        assert link.pipeline([("GET", key) for key in keys]) == keys
        assert min(link.pipeline([("PTTL", key) for key in keys])) > 0
    assert cluster.primary_of(slot) is target


def test_a_write_to_a_slot_under_way_is_sent_on(make_cluster):
    """What a client sees between the steps of a move: ASK from the source, once it does not have the key any more."""
    cluster = make_cluster()
    source, target, _ = cluster.primaries()
    target.call("CLUSTER", "SETSLOT", 1, "IMPORTING", source.id)
    source.call("CLUSTER", "SETSLOT", 1, "MIGRATING", target.id)
    key = slot_tag(1)
    with pytest.raises(GeartrainError, match=f"ASK 1 127.0.0.1:{target.port}"):
        source.call("SET", key, 1)
    cluster.move_slots([1], target)  # goes on where it was left
    assert cluster.primary_of(1) is target


@pytest.mark.servers(VALKEY)
def test_slots_move_at_once_by_the_servers_own_migration(cluster_flavour, make_cluster):
    """Several ranges, from several primaries, with their keys."""
    cluster = make_cluster(cluster_flavour)
    values = fill(cluster, 300)
    target = cluster.add_shard()
    slots = [*range(1000), 3000, *range(5000, 6000)]
    cluster.migrate_slots_atomically(slots, target)
    cluster.wait_ok()
    assert cluster.slots_of(target) == slots
    assert target.call("DBSIZE") > 0
    assert read(cluster, values) == values


@pytest.mark.servers("redis-8.2")
def test_a_server_without_atomic_migration_says_so(cluster_flavour, make_cluster):
    """The version that can is named."""
    cluster = make_cluster(cluster_flavour)
    with pytest.raises(GeartrainError, match="Valkey >= 9"):
        cluster.migrate_slots_atomically([0], cluster.primary_of(16383))


def test_a_slot_that_is_none_is_named(cluster):
    """Nothing is moved."""
    with pytest.raises(GeartrainError, match="no node serves slot 16384"):
        cluster.move_slots([0, 16384], cluster.primary_of(16383))
    assert cluster.primary_of(0) is cluster.nodes[0]


@pytest.mark.servers(*ALL)
def test_a_cluster_comes_back_from_its_directory(cluster_flavour, tmp_path):
    """The same nodes on the same ports, with their slots and data, whatever size is asked for."""
    directory = tmp_path / "a cluster"
    binary = required(cluster_flavour)
    with EmbeddedCluster.start(replicas=1, directory=directory, binary=binary) as cluster:
        values = fill(cluster, 50)
        cluster.move_slots(range(10), cluster.primary_of(16383))
        cluster.add_shard()
        cluster.wait_ok()
        before = {node.port: (node.id, cluster.slots_of(node)) for node in cluster.nodes}
    assert holds_cluster(directory)
    with EmbeddedCluster.start(shards=1, directory=directory, binary=binary) as cluster:
        assert {node.port: (node.id, cluster.slots_of(node)) for node in cluster.nodes} == before
        assert read(cluster, values) == values


def test_a_node_with_a_directory_keeps_its_data_over_a_kill(make_cluster):
    """What it acknowledged with `appendfsync always` is there after its restart."""
    cluster = make_cluster(aof="always")
    values = fill(cluster, 20)
    node = cluster.primary_of("key:1")
    cluster.kill(node)
    cluster.restart(node)
    cluster.wait_ok()
    assert read(cluster, values) == values


def test_a_directory_of_something_else_is_refused(tmp_path):
    """A single server's data, and what a cluster that never formed has left."""
    with EmbeddedServer.start(directory=tmp_path / "single"):
        pass
    with pytest.raises(GeartrainError, match="holds a single server's data"):
        EmbeddedCluster.start(directory=tmp_path / "single")
    (tmp_path / "half" / "node-1").mkdir(parents=True)
    with pytest.raises(GeartrainError, match="never became a cluster"):
        EmbeddedCluster.start(directory=tmp_path / "half")


def test_after_stop_nothing_is_left(make_cluster):
    """No process, no port, no folder; a second `stop` does nothing."""
    cluster = make_cluster(replicas=1)
    assert not is_closed(cluster.nodes[0].port)
    cluster.kill(cluster.nodes[1])
    cluster.stop()
    for node in cluster.nodes:
        assert not node.server.running
        assert not node.server.directory.exists()
        assert is_closed(node.port)
        assert is_closed(node.port + 10_000)
    cluster.stop()


def test_a_node_that_cannot_start_leaves_no_other(tmp_path):
    """The server's own words are in the error, and all folders are free again."""
    with pytest.raises(GeartrainError, match=r"(?s)the server ended with status 1.*maxmemory"):
        EmbeddedCluster.start(directory=tmp_path, options={"maxmemory": "a lot"})
    with EmbeddedServer.start(directory=tmp_path / "node-1"):
        pass


def test_a_cluster_of_one_tells_its_address(make_cluster):
    """Without another node that could tell it, it would be empty in CLUSTER SLOTS."""
    cluster = make_cluster(shards=1)
    (part,) = cluster.nodes[0].call("CLUSTER", "SLOTS")
    assert part[:2] == [0, SLOTS - 1]
    assert part[2][:2] == ["127.0.0.1", cluster.nodes[0].port]


def test_ports_follow_the_first(free_row):
    """Where the user chooses."""
    with EmbeddedCluster.start(shards=2, port=free_row) as cluster:
        assert [node.port for node in cluster.nodes] == [free_row, free_row + 1]


@pytest.fixture
def free_row():
    """The first of two free ports, with free bus ports."""
    from geartrain.server.configuration import is_free

    return next(
        port for port in range(11_000, 20_000) if all(map(is_free, (port, port + 1, port + 10_000, port + 10_001)))
    )


def test_a_password_is_everywhere(make_cluster):
    """Clients, replicas and the moving of slots use it."""
    cluster = make_cluster(replicas=1, options={"requirepass": "se:cr@et"})
    assert re.fullmatch(r"redis://:se%3Acr%40et@127\.0\.0\.1:\d+(,127\.0\.0\.1:\d+){5}", cluster.url)
    values = fill(cluster, 50)
    cluster.move_slots(range(200), cluster.primary_of(16383))
    cluster.wait_ok()
    assert read(cluster, values) == values


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"shards": 0}, "shards=0"), ({"replicas": -1}, "replicas=-1"), ({"port": 60000}, "port=60000.*choose a lower")],
)
def test_a_size_that_cannot_be_is_refused(arguments, named):
    """The argument is named before anything is started."""
    with pytest.raises(ArgumentError, match=named):
        EmbeddedCluster.start(**arguments)


def test_the_nodes_load_the_server_module(make_cluster):
    """Hooks can be set on each."""
    cluster = make_cluster(module={})
    assert cluster.has_module
    for node in cluster.nodes:
        assert node.call("GEARTRAIN.HOOK", "LIST")
