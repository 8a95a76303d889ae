"""`mode='sync'` on the shards of a cluster: statistics, what stops a function, keys of other shards."""

from __future__ import annotations

import pytest
from redis.crc import key_slot

from geartrain import Client, GearsBuilder, execute, hashtag, keys
from geartrain.errors import NeedsModule
from geartrain.registry import Store, hooks
from geartrain.wire import Endpoint, access
from support.waiting import wait_for
from support.working import Workplace

KEYS = [f"k:{number}" for number in range(30)]


@pytest.fixture
def cluster(cluster_flavour, make_cluster):
    """Three shards whose functions may take 5 s: machines that run tests are slow at times."""
    return make_cluster(cluster_flavour, module={"sync-timeout": 5000})


@pytest.fixture
def client(cluster):
    """A client of it."""
    with Client(cluster.url) as client, access(Endpoint(cluster.url)) as link:
        if (why := hooks.read_all(link).no_sync) is not None:
            pytest.skip(why)
        yield client


@pytest.fixture
def link(cluster):
    """Access to it."""
    with access(Endpoint(cluster.url)) as link:
        yield link


def register(client, builder, *args, **kwargs):
    """One sync registration, named `f`."""
    with client.session("test"):
        builder.register(*args, mode="sync", name="f", **kwargs)


def wait_loaded(link):
    """Wait until the function is loaded on every shard."""

    def loaded():
        modules = hooks.read_all(link)
        found = [hook for _, hook in modules.hooks_of("f")]
        return len(found) == len(link.shards) and not any(hook.error for hook in found)

    wait_for(loaded, 10, "the function is loaded everywhere")


def wait_info(client, condition):
    """Wait until what is known about the function fulfils the condition."""
    return wait_for(lambda: next((info for info in client.registrations() if condition(info)), None), 10)


def test_functions_run_on_the_keys_shard_and_their_statistics_are_added_up(client, link, cluster):
    """Without a worker; the history has lines of all shards; unregistering leaves nothing."""
    register(client, GearsBuilder("KeysReader").foreach(lambda r: execute("rpush", f"l:{{{r['key']}}}", 1)), "k:*")
    wait_loaded(link)
    link.pipeline([("SET", name, 1) for name in KEYS])
    assert all(link.call("LLEN", f"l:{{{name}}}") == 1 for name in KEYS)
    info = wait_info(client, lambda info: info.triggered == len(KEYS))
    assert (info.succeeded, info.failed, info.last_error) == (len(KEYS), 0, None)
    history = client.show("f").history
    assert len({line.worker for line in history}) == 3
    assert [line.at for line in history] == sorted((line.at for line in history), reverse=True)
    client.unregister("f")
    left = [key for node in cluster.primaries() for key in node.call("KEYS", "geartrain:*:f")]
    assert left == []


def test_a_key_of_another_shard_is_refused_and_the_message_says_what_to_do(client, link):
    """The key, its slot, and a tag of this shard; with that tag it works."""

    def step(record):
        if record["value"] == "foreign":
            execute("set", f"elsewhere:{{{record['key'][::-1]}}}", 1)
        else:
            execute("set", f"here:{{{hashtag()}}}", record["key"])

    register(client, GearsBuilder("KeysReader").foreach(step), "k:*")
    wait_loaded(link)
    key = next(name for name in KEYS if link.shard_of(name) != link.shard_of(name[::-1]))
    link.call("SET", key, "foreign")
    info = wait_info(client, lambda info: info.failed == 1)
    slot = key_slot(key[::-1].encode())
    assert f"the key 'elsewhere:{{{key[::-1]}}}' is in slot {slot}, which this shard does not serve" in info.last_error
    assert "which hashtag() gives, into the key's name" in info.last_error
    link.call("SET", key, "here")
    wait_info(client, lambda info: info.succeeded == 1)
    node = link.on(link.shard_of(key))
    (made,) = node.call("KEYS", "here:*")
    assert node.call("GET", made) == key


def test_keys_of_several_slots_are_told_from_those_of_another_shard(client, link):
    """CROSSSLOT."""
    register(client, GearsBuilder("KeysReader").foreach(lambda _: execute("mset", "a", 1, "b", 2)), "k:*")
    wait_loaded(link)
    link.call("SET", KEYS[0], 1)
    info = wait_info(client, lambda info: info.failed == 1)
    assert "CROSSSLOT the command's keys are in several slots" in info.last_error


def failing(reader="StreamReader"):
    """What fails with each record."""
    return GearsBuilder(reader).foreach(lambda _: int("x"))


def test_a_function_that_is_stopped_on_one_shard_is_stopped_on_all(client, link, cluster):
    """By a worker, within seconds; the hooks go; `resume` brings them back, and it begins where it was."""
    register(client, failing(), "k:*", onFailedPolicy="abort")
    wait_loaded(link)
    home = link.shard_of(keys.VERSION)
    stream = next(name for name in KEYS if link.shard_of(name) != home)
    with Workplace(cluster.url) as place:
        link.call("XADD", stream, "*", "a", "1")
        wait_info(client, lambda info: info.status == "aborted")
        # Shown at once; the registry knows when somebody has told it, here a worker.
        place.begin()
        wait_for(lambda: Store(link).snapshot().status["f"] == "aborted", 10, "the registry knows")
        wait_for(lambda: list(hooks.read_all(link).hooks_of("f")) == [], 10, "the hooks are gone")
        info = wait_info(client, lambda info: info.aborted == 1)
        assert info.last_error is not None
        client.resume("f")
        wait_info(client, lambda info: info.aborted == 2)
        wait_for(lambda: Store(link).snapshot().status["f"] == "aborted", 10, "the registry knows again")


def test_resuming_without_a_worker_is_no_news_of_before(client, link):
    """What the shards said before is told first, and not taken for news of the resumed registration."""
    register(client, failing(), "k:*", onFailedPolicy="abort")
    wait_loaded(link)
    link.call("XADD", KEYS[0], "*", "a", "1")
    wait_info(client, lambda info: info.status == "aborted")
    client.resume("f")
    wait_loaded(link)
    wait_info(client, lambda info: info.aborted == 2)


@pytest.mark.servers("valkey-9.1")
def test_a_shard_without_the_module_is_named(make_cluster, fresh_server, cluster_flavour):
    """Where some have it and others have not: sync is refused, and events of the others are not captured."""
    cluster = make_cluster(cluster_flavour, module={})
    lame = cluster.primaries()[1]
    lame.call("ACL", "SETUSER", "default", "-geartrain.hook")
    with Client(cluster.url) as client, pytest.raises(NeedsModule, match=f"the shard 127.0.0.1:{lame.port}: "):
        register(client, failing("KeysReader"), "k:*")
