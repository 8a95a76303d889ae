"""`mode='async_local'`, an execution bound to the shard of its event; `--local`, a worker that takes one shard's."""

from __future__ import annotations

from contextlib import suppress

import pytest

from geartrain import GearsBuilder, execute, hashtag
from geartrain.errors import ArgumentError, ServerUnavailable
from geartrain.keys import slot_of
from geartrain.wire import Endpoint, access
from geartrain.worker.local import nodes_beside
from support.spread import name_on, one_on_each
from support.waiting import wait_for
from support.working import Workplace


def streams():
    """A StreamReader."""
    return GearsBuilder("StreamReader")


@pytest.mark.parametrize("how", ["tail", "awaited", "later"])
def test_a_key_of_another_shard_is_an_error_that_names_step_and_record(place, how):
    """At the call, whether or not anybody waits for the reply: nothing is sent."""

    def tail(record):
        execute("set", record["name"], 1)

    def awaited(record):
        assert execute("set", record["name"], 1) == "OK"

    def later(record):
        execute.later("set", record["name"], 1)

    functions = {"tail": tail, "awaited": awaited, "later": later}
    here, there, *_ = place.link.shards
    stream, mine, foreign = (
        name_on(place.link, shard, prefix) for shard, prefix in ((here, "s"), (here, "k"), (there, "k"))
    )
    builder = streams().foreach(lambda _: None).foreach(functions[how])
    registration = place.register(builder, stream, mode="async_local", batch=2, onFailedPolicy="abort")
    place.link.pipeline([("XADD", stream, "*", "name", name) for name in (mine, foreign)])
    place.start()
    info = place.wait_info(registration, lambda info: info.last_error)
    assert info.last_error.startswith(f"step 2, foreach({how} at test_async_local.py:")
    assert "raised ForeignShard: the command's key is in slot" in info.last_error
    assert (
        f"on the shard {there.primary}; this execution is bound to the shard of its event, {here.primary}"
        in info.last_error
    )
    assert f"'{foreign}'" in info.last_error
    assert place.link.call("GET", foreign) is None
    assert place.link.call("GET", mine) == "1"


def test_keys_with_the_hashtag_and_commands_without_a_key_are_the_shards_own(place):
    """One worker executes the streams of all shards, each bound to its own."""

    def count(record):
        execute("incr", f"{{{hashtag()}}}:count")
        execute("hset", f"{{{hashtag()}}}:where", record["name"], execute("config", "get", "port")[1])

    registration = place.register(streams().foreach(count), "s:*", mode="async_local", batch=3, duration=50)
    names = one_on_each(place.link)
    place.link.pipeline([("XADD", name, "*", "name", name) for name in names for _ in range(10)])
    place.start()
    place.wait_done(registration)
    for name, shard in zip(names, place.link.shards, strict=True):
        assert place.link.call("GET", f"{{{shard.tag}}}:count") == "10"
        assert place.link.call("HGET", f"{{{shard.tag}}}:where", name) == str(shard.primary.port)
    assert place.info(registration).failed == 0


def test_other_registrations_of_the_same_worker_are_not_bound(place):
    """A thread executes now the one, now the other."""
    names = [f"k{number}" for number in range(12)]

    def everywhere(_):
        for name in names:
            execute("incr", name)

    bound = streams().foreach(lambda _: execute("incr", f"{{{hashtag()}}}:bound"))
    place.register(bound, "s:*", mode="async_local", session="bound")
    free = place.register(streams().foreach(everywhere), "s:*", session="free")
    streams_used = one_on_each(place.link)
    place.start(threads=1)
    place.link.pipeline([("XADD", name, "*", "a", 1) for _ in range(20) for name in streams_used])
    wait_for(lambda: place.info(free).triggered == 60)
    place.wait_done(free)
    assert [place.link.call("GET", name) for name in names] == ["60"] * 12
    assert place.info(free).failed == 0


def test_a_key_event_is_bound_to_the_shard_of_its_key(make_cluster):
    """With the module: the record's value is read there, and its key can be written to, on whatever shard it is."""

    def mark(record):
        execute("set", f"done:{{{record['key']}}}", record["value"])
        execute("rpush", f"{{{hashtag()}}}:events", record["key"])

    cluster = make_cluster(shards=3, module={})
    with Workplace(cluster.url) as place:
        registration = place.register(GearsBuilder().foreach(mark), "k:*", mode="async_local", eventTypes=["set"])
        place.start()
        names = [f"k:{number}" for number in range(30)]
        for name in names:
            place.link.call("SET", name, f"value of {name}")
        for name in names:
            wait_for(lambda name=name: place.link.call("GET", f"done:{{{name}}}") == f"value of {name}")
        for shard in place.link.shards:
            own = {name for name in names if place.link.shard_of(name) == shard}
            assert set(place.link.call("LRANGE", f"{{{shard.tag}}}:events", 0, -1)) == own
        assert place.info(registration).failed == 0


def test_a_stream_that_moves_takes_its_executions_along(make_cluster):
    """They are bound to the shard where it lies now."""
    cluster = make_cluster(shards=3)
    with Workplace(cluster.url) as place:
        where = streams().foreach(lambda _: execute("rpush", "{s}:ports", execute("config", "get", "port")[1]))
        place.register(where, "s", mode="async_local")
        place.start()
        place.link.call("XADD", "s", "*", "a", 1)
        first = cluster.primary_of("s")
        assert place.seen(1, "{s}:ports") == [str(first.server.port)]
        target = next(node for node in cluster.primaries() if node is not first)
        cluster.move_slots([slot_of("s")], target)
        place.link.call("XADD", "s", "*", "a", 2)
        assert place.seen(2, "{s}:ports")[-1] == str(target.server.port)


RECORD = """GB("StreamReader").foreach(lambda record: execute("rpush", "done", record["name"])).register("s:*")"""


def add(link, names):
    """An entry for each stream, with its name."""
    link.pipeline([("XADD", name, "*", "name", name) for name in names])


def owners(place):
    """The worker of each stream, as `geartrain show` tells."""
    (registration,) = place.client.registrations()
    return {item.stream: item.owner for item in place.client.show(registration.id).partitions}


def shown(place, expected):
    """Whether these streams have these workers; also while a primary is away, which nobody can tell then."""
    with suppress(ServerUnavailable):
        return owners(place).items() >= expected.items()
    return False


def test_a_local_worker_takes_its_shards_streams_and_the_others_wait_for_somebody(place):
    """`show` says that nobody has them; a worker without a shard takes them when it comes."""
    place.client.execute(RECORD, session="test")
    first, second, third = names = one_on_each(place.link)
    add(place.link, names)
    shards = place.link.shards
    workers = [place.start(local=str(shard.primary)) for shard in shards[:2]]
    assert sorted(place.seen(2, "done")) == sorted([first, second])
    wait_for(lambda: owners(place) == {first: workers[0].id, second: workers[1].id, third: None})
    free = place.start()
    assert place.seen(3, "done")[-1] == third
    wait_for(lambda: owners(place) == {first: workers[0].id, second: workers[1].id, third: free.id})


def test_a_local_worker_follows_its_shard_through_a_failover_and_its_streams_to_other_shards(make_cluster):
    """It may be named by a replica. What moves away is the others'."""
    cluster = make_cluster(shards=3, replicas=1)
    with Workplace(cluster.url) as place:
        place.client.execute(RECORD, session="test")
        mine, theirs, _ = names = one_on_each(place.link)
        primary = cluster.primary_of(mine)
        (replica,) = cluster.replicas_of(primary)
        nodes = nodes_beside(Endpoint(cluster.url), replica.url)
        assert nodes.split(",") == [node.url.removeprefix("redis://") for node in (primary, replica)]
        add(place.link, names)
        local, free = place.start(local=nodes), place.start()
        place.seen(3, "done")
        wait_for(lambda: owners(place)[mine] == local.id)
        cluster.kill(primary)
        cluster.wait_ok(30)
        wait_for(lambda: shown(place, {mine: local.id, theirs: free.id}), 20)
        cluster.move_slots([slot_of(mine)], cluster.primary_of(theirs))
        wait_for(lambda: shown(place, {mine: free.id, theirs: free.id}), 20)
        with access(Endpoint(cluster.url)) as link:
            add(link, names)
            wait_for(lambda: link.call("LLEN", "done") >= 6)


def test_geartrain_worker_takes_the_shard_of_the_node_that_it_is_given(place, cli):
    """Without --url that node is the way to the cluster."""
    place.client.execute(RECORD, session="test")
    first, *_ = names = one_on_each(place.link)
    add(place.link, names)
    node = place.link.shards[0].primary
    worker = cli("worker", "--local", f"redis://{node}")
    worker.wait_for_line("ready")
    assert f"streams of {node}'s shard only" in worker.stdout
    assert place.seen(1, "done") == [first]


def test_a_node_of_no_shard_of_the_cluster_is_an_error(cluster_url, make_cluster, valkey):
    """And a server that is no cluster."""
    other = make_cluster(shards=1)
    with pytest.raises(ArgumentError, match=r"--local: .* is in no shard of"):
        nodes_beside(Endpoint(cluster_url), other.url)
    with pytest.raises(ArgumentError, match=r"--local: .* is no node of a cluster"):
        nodes_beside(Endpoint(cluster_url), valkey.url)
    with pytest.raises(ArgumentError, match=r"--local: .* is no cluster"):
        nodes_beside(Endpoint(valkey.url), cluster_url)
