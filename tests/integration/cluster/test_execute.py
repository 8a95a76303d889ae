"""What steps do with `execute` on a cluster: any key is reached, in order for each shard; errors find their record."""

from __future__ import annotations

import random
import threading

import pytest

from geartrain import ForeignShard, GearsBuilder, atomic, execute, hashtag
from geartrain.errors import GeartrainError, ServerUnavailable
from geartrain.keys import slot_of
from geartrain.runtime import Context, enter
from geartrain.runtime.surroundings import CallSites
from geartrain.wire import Endpoint, Link, access
from support.spread import name_on, one_on_each
from support.waiting import wait_for


def streams():
    """A StreamReader."""
    return GearsBuilder("StreamReader")


def add_all(place, values, stream="s"):
    """One entry for each value, in one go."""
    place.link.pipeline([("XADD", stream, "*", "a", value) for value in values])


def test_deferred_commands_reach_all_shards_and_keep_each_keys_order(place):
    """More of them than are sent together; all are there when the offset has moved."""
    builder = (
        streams()
        .foreach(lambda record: [execute.later("rpush", f"k{n}", record["a"]) for n in range(9)])
        .foreach(lambda record: execute("rpush", f"k{int(record['a']) % 9}", "tail"))
    )
    registration = place.register(builder, "s", batch=100)
    add_all(place, range(300))
    place.start()
    place.wait_done(registration)
    for number in range(9):
        expected = [item for n in range(300) for item in ([str(n), "tail"] if n % 9 == number else [str(n)])]
        assert place.link.call("LRANGE", f"k{number}", 0, -1) == expected


def test_a_command_that_is_waited_for_comes_after_those_that_were_deferred(place):
    """On whatever shard they are."""

    def both(record):
        execute.later("set", f"k{record['a']}", "deferred")
        return execute("get", f"k{record['a']}")

    place.register(streams().map(both).foreach(lambda found: execute("rpush", "seen", found)), "s", batch=10)
    add_all(place, range(30))
    place.start()
    assert place.seen(30) == ["deferred"] * 30


@pytest.mark.parametrize("how", ["tail", "awaited", "later"])
def test_an_error_names_the_step_and_the_record_that_issued_it(place, how):
    """The commands for other shards are executed all the same, where they were deferred."""

    def tail(record):
        execute("incr", record["a"])

    def awaited(record):
        assert execute("incr", record["a"]) > 0

    def later(record):
        execute.later("incr", record["a"])

    functions = {"tail": tail, "awaited": awaited, "later": later}
    place.link.call("SET", "text", "no number")
    builder = streams().foreach(lambda _: None).foreach(functions[how])
    registration = place.register(builder, "s", batch=5, onFailedPolicy="abort")
    add_all(place, ["n1", "n2", "text", "n3", "n4"])
    place.start()
    info = place.wait_info(registration, lambda info: info.last_error)
    assert info.last_error.startswith(f"step 2, foreach({how} at test_execute.py:")
    assert "raised CommandError: incr: ERR value is not an integer" in info.last_error
    assert "'text'" in info.last_error
    after = None if how == "awaited" else "1"
    assert [place.link.call("GET", name) for name in ("n1", "n2", "n3", "n4")] == ["1", "1", after, after]


def test_hashtag_and_commands_without_a_key_are_of_the_shard_of_the_stream(place):
    """Whoever executes them: one worker does, for streams of all shards."""

    def where(record):
        execute("hset", "where", record["name"], f"{hashtag()} {execute('config', 'get', 'port')[1]}")

    place.register(streams().foreach(where), "s:*")
    names = one_on_each(place.link)
    for name in names:
        place.link.call("XADD", name, "*", "name", name)
    place.start()
    found = wait_for(lambda: place.link.call("HLEN", "where") == 3 and place.link.call("HGETALL", "where"))
    told = dict(zip(found[::2], found[1::2], strict=True))
    for name, shard in zip(names, place.link.shards, strict=True):
        tag, port = told[name].split()
        assert place.link.shard_of(f"{{{tag}}}:x") == shard
        assert int(port) == shard.primary.port


@pytest.fixture
def moving(make_cluster):
    """A cluster whose slots may move."""
    return make_cluster(shards=3)


@pytest.fixture
def enter_context():
    """Makes contexts of this thread."""
    made = []

    def make(url):
        context = Context(Endpoint(url))
        made.append((context, enter(context)))
        return context

    yield make
    for context, before in reversed(made):
        enter(before)
        context.close()


def test_deferred_commands_are_executed_once_and_in_order_while_slots_move(moving, enter_context, seed: random.Random):
    """Key by key: what a node redirects is sent again, before anything that comes after it on that key."""
    names = [f"list:{number}" for number in range(20)]
    context = enter_context(moving.url)
    done = threading.Event()

    def move():
        for name in seed.sample(names, 10):
            owner = moving.primary_of(name)
            moving.move_slots([slot_of(name)], next(node for node in moving.primaries() if node is not owner))
        done.set()

    thread = threading.Thread(target=move, daemon=True)
    thread.start()
    count = 0
    while not done.is_set():
        for _ in range(10):
            for name in names:
                context.defer("rpush", (name, count))
            count += 1
        context.flush()
    thread.join()
    with access(Endpoint(moving.url)) as link:
        for name in names:
            assert link.call("LRANGE", name, 0, -1) == [str(number) for number in range(count)]


def test_after_a_failover_commands_go_to_the_new_primary(make_cluster, enter_context):
    """The execution that met it is one that the server could not serve, and is to be repeated."""
    cluster = make_cluster(shards=3, replicas=1)
    context = enter_context(cluster.url)
    context.begin(None, CallSites())
    context.defer("set", ("kept", 1))
    context.flush()
    cluster.kill(cluster.primary_of("kept"))
    context.defer("set", ("kept", 2))
    with pytest.raises(ServerUnavailable):
        context.flush()

    def repeated():
        context.begin(None, CallSites())
        context.defer("set", ("kept", 3))
        try:
            context.flush()
        except ServerUnavailable:
            return None
        return context.execute("get", ("kept",))

    assert wait_for(repeated, 30) == "3"


def test_what_a_failed_execution_has_sent_disturbs_no_later_one(cluster_url, enter_context):
    """Replies that nobody has read are read, and forgotten."""
    context = enter_context(cluster_url)
    context.begin(None, CallSites())
    for number in range(200):
        context.defer("incr", (f"n{number}",))
    context.begin(None, CallSites())
    assert [context.execute("set", (f"k{number}", number)) for number in range(10)] == ["OK"] * 10


@pytest.mark.servers("valkey-9.1")
def test_a_block_of_atomic_holds_the_shard_of_the_event_alone(make_cluster, enter_context):
    """Others of it wait, other shards' clients do not; a command for another shard is an error that says so."""
    cluster = make_cluster(shards=3, module={})
    context = enter_context(cluster.url)
    link = context.link
    here, there, _ = link.shards
    link.home = here.slots[0][0]
    mine, foreign = name_on(link, here), name_on(link, there)
    with Link(Endpoint(cluster.url).at(here.primary)) as same, Link(Endpoint(cluster.url).at(there.primary)) as other:
        asked = threading.Thread(target=same.call, args=("SET", mine, "late"), daemon=True)
        with atomic(10):
            execute.later("set", mine, 1)
            assert execute("incr", mine) == 2
            asked.start()
            assert other.call("SET", foreign, 1) == "OK"
            with pytest.raises(ForeignShard, match=r"atomic\(\) holds the shard .* hashtag\(\)"):
                execute("set", foreign, 2)
            with pytest.raises(ForeignShard):
                execute.later("set", foreign, 2)
            assert asked.is_alive()
            assert execute("get", mine) == "2"
        asked.join(5)
        assert execute("get", mine) == "late"
        assert execute("get", foreign) == "1"


def test_atomic_without_the_module_says_what_is_missing(cluster_url, enter_context):
    """And leaves nothing bound."""
    enter_context(cluster_url)
    with pytest.raises(GeartrainError, match="needs the server module"), atomic():
        pass
    assert [execute("set", f"k{number}", 1) for number in range(10)] == ["OK"] * 10
