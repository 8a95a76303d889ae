"""Key events without the server module, on a cluster: each primary publishes those of its own keys alone."""

from __future__ import annotations

from collections import Counter

import pytest

from geartrain import GearsBuilder, execute
from geartrain.wire import Endpoint, access
from support.waiting import wait_for
from support.working import Workplace

KEYS = [f"k:{number}" for number in range(60)]


@pytest.fixture
def link(cluster_url):
    """Access to the cluster."""
    with access(Endpoint(cluster_url)) as link:
        yield link


def register(place):
    """Writes every key that is set."""
    noting = GearsBuilder("KeysReader").foreach(lambda record: execute("rpush", "seen", record["key"]))
    place.register(noting, "k:*", eventTypes=["set"], name="noting")


def seen(link):
    """What was noted, and how often."""
    return Counter(link.call("LRANGE", "seen", 0, -1))


def test_events_of_all_shards_come(cluster_url, link):
    """Each one once; the setting is made on every server; it is best effort, as on one server."""
    with Workplace(cluster_url) as place:
        register(place)
        place.start()
        link.pipeline([("SET", name, 1) for name in KEYS])
        wait_for(lambda: seen(link) == Counter(KEYS), 10, "every event was noted")
        assert place.client.show("noting").info.delivery == "best-effort"
    settings = [link.on(shard).call("CONFIG", "GET", "notify-keyspace-events")[1] for shard in link.shards]
    assert all("$" in setting and "E" in setting for setting in settings)


def test_shards_that_come_and_move_are_followed(make_cluster, cluster_flavour):
    """A new primary's events come, within seconds, and those of a replica that took over."""
    cluster = make_cluster(cluster_flavour, replicas=1)
    with Workplace(cluster.url) as place, access(Endpoint(cluster.url)) as link:
        register(place)
        place.start()
        node = cluster.add_shard()
        cluster.move_slots(range(0, 16384, 5), node)
        cluster.kill(cluster.primaries()[0])
        cluster.wait_ok()
        link.close()
        link.topology.suspect()

        def noted():
            link.pipeline([("SET", name, 1) for name in KEYS])
            return set(seen(link)) == set(KEYS)

        wait_for(noted, 20, "events of all keys were noted")
