"""The client on a cluster: what is known of a registration, shard by shard, and when a shard is away."""

from __future__ import annotations

import pytest

from geartrain import ArgumentError, Client, GearsBuilder, ServerUnavailable, execute
from geartrain.registry import Status
from support.waiting import wait_for
from support.working import Workplace

STREAMS = [f"s:{number}" for number in range(12)]


def noting():
    """Writes a list."""
    return GearsBuilder("StreamReader").foreach(lambda record: execute("rpush", "seen", record["streamId"]))


def waiting(place, worker) -> str:
    """A registration that a worker has found the streams of, with one more entry in each since it has stopped."""
    name = place.register(noting(), "s:*")
    for stream in STREAMS:
        place.add(stream)
    place.wait_done(name, len(STREAMS))
    worker.stop()
    for stream in STREAMS:
        place.add(stream)
    return name


def test_details_tell_the_lag_of_each_shard(place):
    """Each stream is of one shard, and a shard's lag is that of its streams."""
    name = waiting(place, place.begin())
    found = place.client.show(name)
    shard_of = {stream: str(place.link.shard_of(stream)) for stream in STREAMS}
    assert {item.stream: item.shard for item in found.partitions} == shard_of
    assert [item.shard for item in found.shards] == [str(shard) for shard in place.link.shards]
    for item in found.shards:
        assert item.streams == item.lag == list(shard_of.values()).count(item.shard) > 0
    assert found.info.lag == len(STREAMS)


def test_all_that_can_be_done_with_registrations_is_done_for_the_whole_cluster(place):
    """Paused, nothing runs on any shard; resumed, everything does; unregistered, nothing is left anywhere."""
    name = place.register(noting(), "s:*")
    place.start()
    place.client.pause(name)
    assert place.info(name).status is Status.PAUSED
    for stream in STREAMS:
        place.add(stream)
    place.client.resume(name)
    place.wait_done(name, len(STREAMS))
    place.client.unregister(name)
    wait_for(lambda: not any(place.groups(stream) for stream in STREAMS))
    for shard in place.link.shards:
        wait_for(lambda shard=shard: not place.link.on(shard).call("KEYS", "geartrain:*lease*"))
    assert place.client.registrations() == []


def test_one_node_is_as_good_as_all(cluster, place):
    """Any node's address will do, with or without the others."""
    name = place.register(noting(), "s:*")
    for url in cluster.urls:
        with Client(url) as client:
            assert [item.id for item in client.registrations()] == [name]


def test_a_cluster_has_only_database_0(cluster):
    """Another one in the URL is an error that says so, whichever of its nodes are named."""
    for url in (cluster.url, cluster.urls[0]):
        with Client(f"{url}/1") as client, pytest.raises(ArgumentError, match="a cluster has only database 0"):
            client.registrations()
        with Client(f"{url}/0") as client:
            assert client.registrations() == []


def test_nodes_that_do_not_answer_are_all_named(place):
    """The message has every address that was tried, and not the password."""
    url = "redis://user:secret@127.0.0.1:1,127.0.0.1:2,127.0.0.1:3"
    with Client(url) as client, pytest.raises(ServerUnavailable) as caught:
        client.registrations()
    for port in (1, 2, 3):
        assert f"127.0.0.1:{port}: " in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.servers("valkey-9.1")
def test_a_shard_that_is_away_keeps_nobody_from_what_the_others_say(cluster_flavour, make_cluster):
    """Its lag is not known, and so the whole one is not; the other shards' is."""
    with Workplace((cluster := make_cluster(cluster_flavour)).url) as place:
        name = waiting(place, place.begin())
        away = next(node for node in cluster.nodes if node.id != cluster.primary_of("geartrain:{registry}:").id)
        before = {item.shard: item for item in place.client.show(name).shards}
        cluster.kill(away)
        with Client(cluster.url) as client:
            found = client.show(name)
            assert client.registrations()[0].lag is None
    gone = away.url.removeprefix("redis://")
    for item in found.shards:
        assert item.lag == (None if item.shard == gone else before[item.shard].lag)
        assert item.streams == before[item.shard].streams
