"""Replicas: they have hooks and outboxes as their primary has them, whenever they came, and go on when it is gone."""

from __future__ import annotations

import os

import pytest

from support.hooks import captured, hooks, information, raw_entries, set_hook
from support.waiting import wait_for
from support.writing import Writer


def offset(link):
    """How far a server is in the replication's history."""
    about = information(link, "replication")
    return about["slave_repl_offset" if about["role"] == "slave" else "master_repl_offset"]


def wait_same(primary, replica):
    """Wait until a replica has all that its primary has written, which writes no more."""

    def same():
        about = information(replica, "replication")
        return about.get("master_link_status") == "up" and offset(primary) == offset(replica)

    wait_for(same, 30, "the replica has caught up")


def check_same(primary, replica, hook="h"):
    """The replica's outbox is the primary's, id by id, and so are all other data."""
    wait_same(primary, replica)
    here, there = raw_entries(primary, hook), raw_entries(replica, hook)
    assert len(here) == len(there)
    assert here == there
    assert primary.call("DEBUG", "DIGEST") == replica.call("DEBUG", "DIGEST")


DEBUG = {"enable-debug-command": "local"}
ROUNDS = int(os.environ.get("GEARTRAIN_REPLICA_ROUNDS", "2"))
"""How often a first replica comes to a new server."""


@pytest.fixture
def primary(fresh_server, module_flavour):
    """A server without an append-only file, which no replica has ever seen."""
    return fresh_server(module_flavour, module={}, options=DEBUG)


@pytest.fixture
def link(primary, connect):
    """A connection to `primary`."""
    return connect(primary)


def test_a_replica_has_hooks_and_outboxes_and_captures_nothing_itself(primary, link, replicate, module_flavour):
    """What was before it came, and what comes; expired keys are deleted by the primary."""
    set_hook(link, pattern="k*")
    link.pipeline([("SET", f"k{number}", 1) for number in range(10)])
    _, replica = replicate(primary, module_flavour, DEBUG)
    assert list(hooks(replica)) == ["h"]
    set_hook(link, "later", events="expired del", snapshot=1)
    link.call("SET", "k-short", 1, "PX", 1)
    wait_for(lambda: captured(link, "later"))
    link.transaction([("SET", "k", 1), ("RENAME", "k", "k-new"), ("DEL", "k-new")])
    link.call("GEARTRAIN.HOOK", "SET", "gone", 1)
    link.call("GEARTRAIN.HOOK", "DEL", "gone")
    check_same(link, replica)
    check_same(link, replica, "later")
    assert set(hooks(replica)) == {"h", "later"}
    assert sum(hook.captured for hook in hooks(replica).values()) == 0
    assert information(replica, "geartrain")["geartrain_events_captured"] == "0"


def test_hooks_of_databases_are_those_of_the_primary(primary, link, replicate, module_flavour, connect):
    """SELECT, SWAPDB and FLUSHDB on the primary have their effect on the replica's hooks."""
    server, replica = replicate(primary, module_flavour, DEBUG)
    other = connect(primary, 3)
    set_hook(link, "zero")
    set_hook(other, "three")
    link.call("SWAPDB", 0, 3)
    wait_same(link, replica)
    assert list(hooks(replica)) == ["three"]
    assert list(hooks(connect(server, 3))) == ["zero"]
    link.call("FLUSHDB")
    wait_same(link, replica)
    assert hooks(replica) == {}
    assert list(hooks(connect(server, 3))) == ["zero"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"repl-diskless-sync": "yes", "repl-diskless-sync-delay": "0"}, {"repl-diskless-load": "disabled"}),
        ({"repl-diskless-sync": "yes", "repl-diskless-sync-delay": "0"}, {"repl-diskless-load": "swapdb"}),
        ({"repl-diskless-sync": "no"}, {"repl-diskless-load": "disabled"}),
        ({"repl-diskless-sync": "yes", "repl-diskless-sync-delay": "1"}, {"repl-diskless-load": "on-empty-db"}),
    ],
    ids=["diskless", "swapdb", "disk", "delay"],
)
def test_the_first_replica_of_all_comes_while_clients_write(
    fresh_server, module_flavour, connect, replicate, ours, theirs
):
    """Until it comes entries are not replicated at all (`is_followed`): from its snapshot on none is missing."""
    for _ in range(ROUNDS):
        primary = fresh_server(module_flavour, module={}, options=DEBUG | ours)
        link = connect(primary)
        set_hook(link)
        with Writer(primary.url, "a") as first, Writer(primary.url, "b") as second:
            first.wait(50)
            server, replica = replicate(primary, module_flavour, DEBUG | theirs, delay=None)
            second.wait(100)
        assert len(raw_entries(link)) == first.sent + second.sent
        check_same(link, replica)
        server.stop()
        primary.stop()


def test_a_replica_goes_on_after_a_short_disconnect(primary, link, replicate, module_flavour):
    """A partial resynchronisation: what it missed comes from the backlog, entries included."""
    set_hook(link)
    _, replica = replicate(primary, module_flavour, DEBUG)
    with Writer(primary.url) as writer:
        for _ in range(5):
            writer.wait(50)
            link.call("CLIENT", "KILL", "TYPE", "replica")
    check_same(link, replica)
    assert int(information(link, "stats")["sync_partial_ok"]) >= 1
    assert len(raw_entries(link)) == writer.sent


def test_a_second_replica_and_a_replica_of_a_replica(primary, link, replicate, module_flavour, connect):
    """While clients write; both have what the primary has."""
    set_hook(link, partitions=1)
    with Writer(primary.url) as writer:
        writer.wait(50)
        middle, first = replicate(primary, module_flavour, DEBUG)
        writer.wait(50)
        _, second = replicate(primary, module_flavour, DEBUG)
        _, third = replicate(middle, module_flavour, DEBUG)
        writer.wait(50)
    for replica in (first, second, third):
        check_same(link, replica)


def test_a_replica_that_takes_over_goes_on(primary, link, replicate, module_flavour, connect):
    """REPLICAOF NO ONE: hooks and outboxes are there, events of both times are in one stream; the old primary joins."""
    set_hook(link, pattern="w:*")
    with Writer(primary.url) as before:
        before.wait(100)
        server, replica = replicate(primary, module_flavour, DEBUG)
    wait_same(link, replica)
    replica.call("REPLICAOF", "NO", "ONE")
    primary.kill()
    with Writer(server.url, "w:new") as after:
        after.wait(100)
    keys = [key for _, key in captured(replica)]
    assert keys == [before.key(number) for number in range(before.sent)] + [
        after.key(number) for number in range(after.sent)
    ]
    assert replica.call("GEARTRAIN.HOOK", "SET", "new", 1) == "OK"
    link.close()
    primary.restart()
    link.call("SET", "w:lost", 1)
    link.call("REPLICAOF", "127.0.0.1", server.port)
    check_same(replica, link)
    assert set(hooks(link)) == {"h", "new"}
    replica.call("SET", "w:last", 1)
    check_same(replica, link)


def test_a_planned_failover_loses_and_doubles_nothing(primary, link, replicate, module_flavour):
    """FAILOVER while a client writes: every acknowledged write has its entry on the new primary, once."""
    set_hook(link, pattern="w:*")
    server, replica = replicate(primary, module_flavour, DEBUG)
    with Writer(primary.url) as writer:
        writer.wait(100)
        link.call("FAILOVER", "TO", "127.0.0.1", server.port)
        wait_for(lambda: information(replica, "replication")["role"] == "master", 20)
    with Writer(server.url, "w:new") as after:
        after.wait(50)
    check_same(replica, link)
    keys = [key for _, key in captured(replica)]
    assert len(keys) == len(set(keys))
    assert {writer.key(number) for number in range(writer.acknowledged)} <= set(keys)
    assert {after.key(number) for number in range(after.sent)} <= set(keys)
