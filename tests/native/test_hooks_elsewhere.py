"""Command hooks on replicas, and after a restart."""

from __future__ import annotations

import pytest

from geartrain import GearsBuilder, execute
from geartrain.errors import CommandError, ServerUnavailable
from geartrain.runtime import call_next
from support.hooks import information
from support.inserver import register, wait_loaded
from support.waiting import wait_for


def stamp(words):
    """HSET with one more field, and an effect of its own."""
    execute("INCR", "calls")
    return call_next(*words[1:], "stamped", "yes")


def hooked(link):
    """Register it; its id."""
    (name,) = register(
        link, lambda: GearsBuilder("CommandReader").map(stamp).register(hook="hset", mode="sync", keyprefix="k")
    )
    return name


def test_a_replica_gets_what_the_hook_did_and_hooks_nothing_itself(module_server, own, module_flavour, replicate):
    """Once: the command that was hooked is not in its stream; when it is a primary it goes on."""
    _, replica = replicate(module_server, module_flavour)
    name = hooked(own)
    own.call("HSET", "k", "a", "1")
    own.transaction([("HSET", "k", "b", "2"), ("HSET", "other", "c", "3")])
    wait_for(lambda: replica.call("HGETALL", "other") == ["c", "3"])
    assert replica.call("HGETALL", "k") == own.call("HGETALL", "k") == ["a", "1", "stamped", "yes", "b", "2"]
    assert replica.call("GET", "calls") == "2"
    with pytest.raises(ServerUnavailable, match="READONLY"):
        replica.call("HSET", "k", "x", "1")
    replica.call("REPLICAOF", "NO", "ONE")
    wait_loaded(replica, name)
    assert replica.call("HSET", "k", "d", "4") == 1
    assert replica.call("GET", "calls") == "3"


@pytest.mark.parametrize("aof", [None, "always"])
def test_hooks_are_there_after_a_restart_and_nothing_is_done_twice(fresh_server, module_flavour, connect, aof):
    """From the RDB or the append-only file; from the first command on."""
    server = fresh_server(module_flavour, module={}, aof=aof)
    link = connect(server)
    hooked(link)
    assert link.call("HSET", "k", "a", "1") == 2
    if aof is None:
        link.call("SAVE")
    server.kill()
    link.close()
    server.restart()
    assert link.call("GET", "calls") == "1"
    assert link.call("HSET", "k", "b", "2") == 1
    assert link.call("HGETALL", "k") == ["a", "1", "stamped", "yes", "b", "2"]
    assert link.call("GET", "calls") == "2"


def test_all_fields_of_a_hook_survive(fresh_server, module_flavour, connect):
    """Those of async hooks and of linked events too."""
    server = fresh_server(module_flavour, module={})
    link = connect(server)
    fields = ("reader", "command", "hook", "get", "keyprefix", "k", "mode", "async", "environment", "e", "order", 3)
    link.call("GEARTRAIN.HOOK", "SET", "waits", 5, *fields)
    link.call("GEARTRAIN.HOOK", "SET", "misses", 5, "events", "keymiss", "commands", "strlen")
    link.call("SAVE")
    server.kill()
    link.close()
    server.restart()
    assert information(link, "geartrain")["geartrain_commands_hooked"] == "2"
    assert link.call("GET", "other") is None
    with pytest.raises(CommandError, match="mode='async'"):
        link.call("EVAL", "return redis.call('GET', KEYS[1])", 1, "k")
