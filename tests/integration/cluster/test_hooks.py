"""Hooks on the shards of a cluster: every primary has them, and every shard's events reach the function."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from redis.crc import key_slot

from geartrain import GearsBuilder, execute, keys
from geartrain.registry import Store
from geartrain.wire import Endpoint, access
from support.waiting import wait_for
from support.working import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geartrain.server import EmbeddedCluster
    from geartrain.server.cluster import ClusterNode

NAME = "noting"

KEYS = [f"k:{number}" for number in range(60)]


@pytest.fixture
def cluster(cluster_flavour, make_cluster) -> EmbeddedCluster:
    """Three shards with the module, of this test's own."""
    return make_cluster(cluster_flavour, module={})


class ClusterPlace(Workplace):
    """A workplace whose connection reaches all shards."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        super().__init__(cluster.url)
        self.cluster = cluster
        self.link = self._stack.enter_context(access(Endpoint(cluster.url)))

    def reconnect(self) -> None:
        """Nodes have ended since: what is sent next must not be lost with their connections."""
        self.link.close()
        self.link.topology.suspect()


@pytest.fixture
def place(cluster) -> Iterator[ClusterPlace]:
    """The cluster, a client and workers."""
    with ClusterPlace(cluster) as place:
        yield place


def noting():
    """Writes every key that changes."""
    return GearsBuilder("KeysReader").foreach(lambda record: execute("rpush", "seen", record["key"]))


def listing(node: ClusterNode) -> dict:
    """What the node's module tells."""
    flat = node.call("GEARTRAIN.HOOK", "LIST")
    return dict(zip(flat[::2], flat[1::2], strict=True))


def hooked(node: ClusterNode) -> dict[str, str]:
    """The node's hooks: ids and versions."""
    return {item[0]: item[1] for item in listing(node)["hooks"]}


def write(place: ClusterPlace, names=KEYS) -> None:
    """Set the keys, which lie on all shards."""
    place.link.pipeline([("SET", name, 1) for name in names])


def seen(place: ClusterPlace) -> Counter:
    """What was noted, and how often."""
    return Counter(place.link.call("LRANGE", "seen", 0, -1))


def own_keys(place: ClusterPlace) -> list[str]:
    """Geartrain's keys on all shards that hold something about registrations."""
    general = ("version", "workers", "sessions", "registrations", "status", "tags")
    found = [key for node in place.cluster.primaries() for key in node.call("KEYS", "geartrain:*")]
    return [key for key in found if str(key).rpartition(":")[2] not in general and ":wake:" not in str(key)]


def test_every_shard_has_the_hook_and_its_events_reach_the_function(place):
    """At once, without a worker; the statistics and the lag are those of all shards."""
    place.register(noting(), "k:*", name=NAME)
    versions = [hooked(node) for node in place.cluster.primaries()]
    assert len(versions) == 3
    assert all(list(item) == [NAME] for item in versions)
    write(place)
    assert place.info(NAME).lag == len(KEYS)
    assert {node.call("DBSIZE") > 0 for node in place.cluster.primaries()} == {True}
    place.start()
    place.wait_done(NAME, triggered=3)
    assert seen(place) == Counter(KEYS)
    place.client.unregister(NAME)
    assert [hooked(node) for node in place.cluster.primaries()] == [{}, {}, {}]
    # The worker tells once more what it has had of it, and clears that away.
    wait_for(lambda: own_keys(place) == [], message="nothing is left")


def test_what_came_again_keeps_its_events_on_all_shards(place):
    """Whoever clears away late: hooks, outboxes and the names of streams stay."""
    place.register(noting(), "k:*", name=NAME)
    place.client.unregister(NAME)
    place.register(noting(), "k:*", name=NAME)
    write(place)
    store = Store(place.link)
    store.remove_remains([NAME])
    for node in place.cluster.primaries():
        # As from a client that has read the registry before it came again.
        assert (
            node.call("GEARTRAIN.HOOK", "DEL", NAME, store.snapshot().registrations[NAME].code_version - 1, "UNLINK")
            == 0
        )
    assert place.info(NAME).lag == len(KEYS)
    assert store.remaining() == []
    place.start()
    wait_for(lambda: seen(place) == Counter(KEYS), 10, "every event was noted")


def test_a_shard_that_is_added_later_gets_hooks(place):
    """Within seconds, from any worker; its events are executed."""
    place.register(noting(), "k:*", name=NAME)
    place.start()
    node = place.cluster.add_shard()
    place.cluster.move_slots(range(0, 16384, 7), node)
    wait_for(lambda: NAME in hooked(node), 10, "the new shard has the hook")
    names = [name for name in KEYS if key_slot(name.encode()) % 7 == 0]
    write(place, names)
    wait_for(lambda: seen(place) == Counter(names), 10, f"all of {names} were noted")
    assert any("outbox" in str(name) for name in place.link.call("SMEMBERS", keys.streams(NAME)))


def test_an_outbox_whose_slot_moves_is_emptied_where_it_is_and_the_shard_goes_on_in_another(place):
    """Nothing is lost, nothing is left; events are written all the time."""
    place.register(noting(), "k:*", name=NAME)
    first = place.cluster.primaries()[0]
    write(place)
    tag = listing(first)["tag"]
    old = f"geartrain:{{{tag}}}:outbox:{NAME}"
    assert first.call("XLEN", old) > 0
    place.cluster.move_slots([key_slot(tag.encode())], place.cluster.primaries()[1])
    write(place)
    new = listing(first)["tag"]
    assert new != tag
    assert first.call("XLEN", f"geartrain:{{{new}}}:outbox:{NAME}") > 0
    place.start()
    wait_for(lambda: seen(place) == Counter(KEYS * 2), 15, "every event was noted")
    wait_for(lambda: old.encode() not in Store(place.link).streams(NAME), 10, "the old outbox is gone")
    assert place.link.call("EXISTS", old) == 0
    write(place)
    wait_for(lambda: seen(place) == Counter(KEYS * 3), 10, "later events were noted")


def test_slots_that_move_while_keys_are_written(place):
    """Many, with the outboxes' own among them: what was acknowledged is executed."""
    place.register(noting(), "k:*", name=NAME)
    place.start()
    first, second, third = place.cluster.primaries()
    rounds = 1
    write(place)
    for source, to in ((first, second), (second, third), (third, first)):
        tags = [key_slot(listing(source)["tag"].encode())]
        place.cluster.move_slots([*tags, *place.cluster.slots_of(source)[:40]], to)
        write(place)
        rounds += 1
    wait_for(lambda: all(count >= rounds for count in (seen(place)[key] for key in KEYS)), 20, "all were noted")
    assert seen(place) == Counter(KEYS * rounds)


@pytest.mark.servers("valkey-9.1")
def test_an_atomic_migration_is_no_event(place):
    """Neither on the shard that gives nor on the one that takes."""
    place.register(noting(), "k:*", name=NAME)
    write(place)
    first, second, _ = place.cluster.primaries()
    place.cluster.migrate_slots_atomically(place.cluster.slots_of(first)[:5000], second)
    write(place)
    place.start()
    wait_for(lambda: len(seen(place)) == len(KEYS) and min(seen(place).values()) >= 2, 15, "all were noted")
    assert seen(place) == Counter(KEYS * 2)


def test_keys_that_are_moved_one_by_one_are_no_events(place):
    """MIGRATE deletes and makes them."""
    place.register(noting(), "k:*", name=NAME)
    write(place)
    first, second, _ = place.cluster.primaries()
    slots = {key_slot(name.encode()) for name in KEYS} & set(place.cluster.slots_of(first))
    place.cluster.move_slots(slots, second)
    place.start()
    wait_for(lambda: len(seen(place)) == len(KEYS), 15, "all were noted")
    place.wait_done(NAME)
    assert seen(place) == Counter(KEYS)


def test_after_a_failover_hooks_outboxes_and_tag_are_there(make_cluster, cluster_flavour):
    """The replica that takes over goes on where the primary was."""
    cluster = make_cluster(cluster_flavour, module={}, replicas=1)
    with ClusterPlace(cluster) as place:
        place.register(noting(), "k:*", name=NAME)
        write(place)
        node = cluster.primaries()[0]
        before = listing(node)["tag"], hooked(node)
        slot = cluster.slots_of(node)[0]
        for primary in cluster.primaries():
            primary.call("WAIT", 1, 2000)
        cluster.kill(node)
        cluster.wait_ok()
        promoted = cluster.primary_of(slot)
        assert promoted is not node
        assert (listing(promoted)["tag"], hooked(promoted)) == before
        place.reconnect()
        write(place)
        place.start()
        wait_for(lambda: seen(place) == Counter(KEYS * 2), 15, "every event was noted")


def test_a_shard_that_is_away_does_not_stop_the_others(make_cluster):
    """The others have the hook at once; it gets it when it is back, and what was unregistered meanwhile goes."""
    cluster = make_cluster(module={}, aof="always", options={"cluster-require-full-coverage": "no"})
    with ClusterPlace(cluster) as place:
        place.register(noting(), "k:*", name="gone", session="gone")
        home = cluster.primary_of(keys.VERSION)
        away, other = (node for node in cluster.primaries() if node is not home)
        write(place)
        cluster.kill(away)
        place.register(noting(), "k:*", name=NAME)
        place.client.unregister("gone")
        assert list(hooked(home)) == list(hooked(other)) == [NAME]
        place.begin()
        cluster.restart(away)
        cluster.wait_ok()
        wait_for(lambda: list(hooked(away)) == [NAME], 15, "the shard has what is registered now")
        place.reconnect()
        wait_for(
            lambda: [key for key in own_keys(place) if str(key).endswith(":gone")] == [],
            15,
            f"nothing is left {own_keys(place)}",
        )
        write(place)
        wait_for(lambda: seen(place) == Counter(KEYS), 15, "every event was noted")
