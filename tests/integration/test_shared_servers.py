"""The servers that tests share, and the fixtures that give them."""

from __future__ import annotations

import pytest

from geartrain.errors import ServerUnavailable
from geartrain.keys import slot_tag
from geartrain.wire import Endpoint, Link
from support.servers import FLAVOURS, SharedServer, locate, required


def test_each_flavour_is_the_server_that_its_name_says(flavour, server, link):
    """The executables of the packages have the versions that we think they have."""
    lines = dict(line.partition(":")[::2] for line in link.call("INFO", "server").splitlines())
    name, _, version = flavour.partition("-")
    found = lines.get("valkey_version") if name == "valkey" else lines["redis_version"]
    assert version == "debian" or found.startswith(version + ".")


def test_a_reset_server_is_as_new(server_pool, flavour):
    """Keys of all databases, settings, users, scripts and connections of the last test are gone."""
    server = server_pool.take(flavour)
    with Link(Endpoint(server.url)) as link:
        before = link.call("CONFIG", "GET", "notify-keyspace-events")
        link.pipeline([("SET", "key", "1"), ("SELECT", 5), ("SET", "other", "1"), ("SELECT", 0)])
        link.call("CONFIG", "SET", "notify-keyspace-events", "KEA")
        link.call("ACL", "SETUSER", "alice", "on", ">secret", "~*", "+@all")
        sha = link.call("SCRIPT", "LOAD", "return 1")
        server_pool.take(flavour)
        with pytest.raises(ServerUnavailable):
            link.call("PING")
        assert link.call("INFO", "keyspace").strip() == "# Keyspace"
        assert link.call("CONFIG", "GET", "notify-keyspace-events") == before
        assert link.call("ACL", "USERS") == ["default"]
        assert link.call("SCRIPT", "EXISTS", sha) == [0]


def test_a_server_that_a_test_has_killed_comes_back(server_pool):
    """One test's accident does not reach the next."""
    server_pool.take("valkey-9.1").kill()
    with Link(Endpoint(server_pool.take("valkey-9.1").url)) as link:
        assert link.call("DBSIZE") == 0


def test_a_server_that_holds_keys_is_refused(fresh_server):
    """Tests never flush a server that somebody uses."""
    server = fresh_server()
    with Link(Endpoint(server.url)) as link:
        link.call("SET", "precious", "1")
        with pytest.raises(RuntimeError, match="is not empty"):
            SharedServer(server)
        assert link.call("GET", "precious") == "1"


@pytest.mark.parametrize("aof", ["always", "everysec"])
def test_a_fresh_server_with_an_append_only_file_keeps_its_data(fresh_server, flavour, aof):
    """What was acknowledged is there after a kill and a restart."""
    server = fresh_server(flavour, aof=aof)
    with Link(Endpoint(server.url)) as link:
        assert link.call("CONFIG", "GET", "appendfsync")[1] == aof
        link.call("SET", "key", "kept")
        server.kill()
        server.restart()
        with pytest.raises(ServerUnavailable):
            link.call("PING")
        assert link.call("GET", "key") == "kept"


@pytest.mark.servers("redis-6.2", "valkey-9.1")
def test_the_marker_narrows_the_flavours(flavour, server):
    """A test with the marker runs on the flavours that it names, and on no others."""
    assert flavour in {"redis-6.2", "valkey-9.1"}
    assert server.binary == locate(flavour)


def test_a_reset_cluster_is_as_new(cluster_pool, cluster_flavour):
    """Keys on all primaries are gone; the nodes are the same."""
    cluster = cluster_pool.take(cluster_flavour)
    for number, node in enumerate(cluster.primaries()):
        node.call("SET", slot_tag(number * 6000), "1")
    again = cluster_pool.take(cluster_flavour)
    assert again is cluster
    assert [node.call("DBSIZE") for node in again.primaries()] == [0, 0, 0]


@pytest.mark.servers("valkey-9.1")
def test_a_cluster_that_a_test_has_changed_is_replaced(cluster_pool, cluster_flavour):
    """The next test has three primaries, with all slots in even shares."""
    changed = cluster_pool.take(cluster_flavour)
    changed.move_slots([0], changed.primary_of(16383))
    cluster = cluster_pool.take(cluster_flavour)
    assert cluster is not changed
    assert [len(cluster.slots_of(node)) for node in cluster.primaries()] == [5461, 5461, 5462]
    assert not any(node.server.running for node in changed.nodes)


def test_a_missing_server_skips_locally_and_fails_in_ci(monkeypatch, tmp_path):
    """CI does not pass because a server was not installed; a developer's run does."""
    monkeypatch.setattr("support.servers._packaged", lambda _package: None)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"no server redis-8\.2: `make setup` installs it"):
        required("redis-8.2")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception):
        required("redis-8.2")


def test_an_unknown_flavour_is_named():
    """A misspelt flavour is an error, not a skip."""
    with pytest.raises(ValueError, match=FLAVOURS[1]):
        locate("redis-8.3")


def test_chance_differs_between_tests_and_repeats_with_the_seed(seed, request, capsys):
    """The same seed gives the same numbers to the same test."""
    again = type(seed)()
    again.setstate(seed.getstate())
    assert [seed.random() for _ in range(3)] == [again.random() for _ in range(3)]
    other = type(seed)(f"{request.node.nodeid} of another run")
    assert seed.random() != other.random()
