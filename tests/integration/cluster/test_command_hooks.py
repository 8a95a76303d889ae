"""Command hooks and linked clients on the shards of a cluster."""

from __future__ import annotations

import pytest

from geartrain import Client, GearsBuilder, execute, hashtag
from geartrain.errors import CommandError
from geartrain.registry import hooks
from geartrain.runtime import call_next, override_reply
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
    with Client(cluster.url) as client:
        yield client


@pytest.fixture
def link(cluster):
    """Access to it."""
    with access(Endpoint(cluster.url)) as link:
        yield link


def wait_loaded(link, *names):
    """Wait until functions are loaded on every shard."""

    def loaded():
        found = [hook for name in names for _, hook in hooks.read_all(link).hooks_of(name)]
        return len(found) == len(names) * len(link.shards) and not any(hook.error for hook in found)

    wait_for(loaded, 10, "the functions are loaded everywhere")


def test_hooked_commands_go_where_their_keys_are(client, link, cluster):
    """As the originals: MOVED for a key of another shard, CROSSSLOT for keys of several."""
    with client.session("test"):
        GearsBuilder("CommandReader").map(lambda words: call_next(*words[1:])).register(
            hook="mset", mode="sync", name="f"
        )
    wait_loaded(link, "f")
    assert [link.call("MSET", name, 1) for name in KEYS] == ["OK"] * len(KEYS)
    node = cluster.primary_of("k:0")
    foreign = next(name for name in KEYS if cluster.primary_of(name) is not node)
    with pytest.raises(CommandError, match="MOVED"):
        node.call("MSET", foreign, 1)
    with pytest.raises(CommandError, match="CROSSSLOT"):
        node.call("MSET", "k:0", 1, foreign, 2)


def foreign_keys(cluster, key):
    """Two keys of other slots: of the same shard, and of another."""
    same = next(name for name in KEYS if name != key and cluster.primary_of(name) is cluster.primary_of(key))
    return same, next(name for name in KEYS if cluster.primary_of(name) is not cluster.primary_of(key))


@pytest.mark.parametrize("own_command", [True, False])
def test_a_hook_reaches_the_keys_of_its_commands_slot(client, link, cluster, own_command):
    """Servers would write others, though of the same shard, where nobody finds them."""
    with client.session("test"):
        step = (
            (lambda words: call_next(words[2], "v")) if own_command else (lambda words: execute("SET", words[2], "v"))
        )
        GearsBuilder("CommandReader").map(step).register(hook="set", mode="sync", name="f")
    wait_loaded(link, "f")
    for name in foreign_keys(cluster, "k:0"):
        with pytest.raises(CommandError, match="CROSSSLOT in a cluster the function of a hooked command"):
            link.call("SET", "k:0", name)
        assert link.call("EXISTS", name) == 0
    assert link.call("SET", "k:0", "{k:0}:other") == "OK"
    assert link.call("GET", "{k:0}:other") == "v"


def test_a_hook_of_a_command_without_keys_reaches_those_of_its_shard(client, link, cluster):
    """But within a transaction, which may have keys of a slot."""
    with client.session("test"):
        GearsBuilder("CommandReader").map(lambda words: execute("INCR", words[1])).register(
            hook="echo", mode="sync", name="f"
        )
    wait_loaded(link, "f")
    node = cluster.primary_of("k:0")
    assert [node.call("ECHO", name) for name in KEYS if cluster.primary_of(name) is node]
    assert [node.call("GET", name) for name in KEYS if cluster.primary_of(name) is node][:2] == ["1", "1"]
    (reply,) = link.on(link.shard_of("k:0")).transaction([("ECHO", "k:0")])
    assert "CROSSSLOT" in reply.text


def test_events_of_a_command_whose_client_waits_are_found_where_they_belong(client, link, cluster):
    """Those of other registrations too, and what functions in the server write."""
    with client.session("test"):
        GearsBuilder().foreach(lambda _: override_reply("x")).register(
            "k:*", mode="sync", eventTypes=["keymiss"], commands=["get"], name="f"
        )
        GearsBuilder().foreach(lambda _: execute("INCR", f"count:{{{hashtag()}}}")).register(
            "k:*", mode="sync", eventTypes=["keymiss"], name="g"
        )
    wait_loaded(link, "f", "g")
    assert [link.call("GET", name) for name in KEYS] == ["x"] * len(KEYS)
    counts = [f"count:{{{module.tag.decode()}}}" for module in hooks.read_all(link).loaded.values()]
    wait_for(lambda: sum(int(link.call("GET", name) or 0) for name in counts) == len(KEYS))


def test_linked_clients_are_answered_on_every_shard(cluster, link):
    """By workers that fetch what is missed."""

    def fetch(record):
        execute("SET", record["key"], "fetched")
        override_reply(f"for {record['key']}")

    with Workplace(cluster.url) as place:
        place.register(GearsBuilder().foreach(fetch), "k:*", eventTypes=["keymiss"], commands=["get"])
        place.start()
        assert [link.call("GET", name) for name in KEYS] == [f"for {name}" for name in KEYS]
        assert [link.call("GET", name) for name in KEYS] == ["fetched"] * len(KEYS)
