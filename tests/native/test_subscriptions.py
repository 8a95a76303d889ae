"""Which events the server is asked for: no hook misses one, and nobody pays for the others."""

from __future__ import annotations

import random
from typing import Any

import pytest

from support.hooks import captured, information, set_hook
from support.waiting import wait_for

WRITES: dict[str, dict[str, list[tuple[Any, ...]]]] = {
    "string": {
        "set": [("SET", "k", 1)],
        "setrange": [("SETRANGE", "k", 2, "a")],
        "append": [("APPEND", "k", "a")],
        "incrby": [("DECR", "k")],
        "incrbyfloat": [("INCRBYFLOAT", "k", 1)],
        "setbit": [("SETBIT", "k", 1, 1)],
    },
    "list": {
        "lpush": [("LPUSH", "k", 1)],
        "rpush": [("RPUSH", "k", 1)],
        "lpop": [("RPUSH", "k", 1), ("LPOP", "k")],
        "rpop": [("RPUSH", "k", 1), ("RPOP", "k")],
        "linsert": [("RPUSH", "k", 1), ("LINSERT", "k", "BEFORE", 1, 0)],
        "lset": [("RPUSH", "k", 1), ("LSET", "k", 0, 2)],
        "ltrim": [("RPUSH", "k", 1, 2), ("LTRIM", "k", 0, 0)],
        "lrem": [("RPUSH", "k", 1, 2), ("LREM", "k", 1, 1)],
    },
    "set": {
        "sadd": [("SADD", "k", 1)],
        "srem": [("SADD", "k", 1), ("SREM", "k", 1)],
        "spop": [("SADD", "k", 1, 2), ("SPOP", "k")],
        "sinterstore": [("SADD", "l", 1), ("SINTERSTORE", "k", "l")],
        "sunionstore": [("SADD", "l", 1), ("SUNIONSTORE", "k", "l")],
        "sdiffstore": [("SADD", "l", 1), ("SDIFFSTORE", "k", "l")],
    },
    "hash": {
        "hset": [("HSET", "k", "f", 1)],
        "hdel": [("HSET", "k", "f", 1), ("HDEL", "k", "f")],
        "hincrby": [("HINCRBY", "k", "f", 1)],
        "hincrbyfloat": [("HINCRBYFLOAT", "k", "f", 1)],
    },
    "zset": {
        "zadd": [("ZADD", "k", 1, "a")],
        "zincr": [("ZINCRBY", "k", 1, "a")],
        "zrem": [("ZADD", "k", 1, "a"), ("ZREM", "k", "a")],
        "zremrangebyscore": [("ZADD", "k", 1, "a"), ("ZREMRANGEBYSCORE", "k", 0, 1)],
        "zremrangebyrank": [("ZADD", "k", 1, "a"), ("ZREMRANGEBYRANK", "k", 0, 1)],
        "zpopmin": [("ZADD", "k", 1, "a"), ("ZPOPMIN", "k")],
        "zpopmax": [("ZADD", "k", 1, "a"), ("ZPOPMAX", "k")],
    },
    "stream": {
        "xadd": [("XADD", "k", "1-1", "f", "v")],
        "xdel": [("XADD", "k", "1-1", "f", "v"), ("XDEL", "k", "1-1")],
        "xtrim": [("XADD", "k", "1-1", "f", "v"), ("XTRIM", "k", "MAXLEN", 0)],
    },
    "generic": {
        "del": [("SET", "k", 1), ("DEL", "k")],
        "expire": [("SET", "k", 1), ("EXPIRE", "k", 100)],
        "persist": [("SET", "k", 1, "EX", 100), ("PERSIST", "k")],
        "rename_from": [("SET", "k", 1), ("RENAME", "k", "l")],
        "rename_to": [("SET", "l", 1), ("RENAME", "l", "k")],
        "copy_to": [("SET", "l", 1), ("COPY", "l", "k")],
        "move_from": [("SET", "k", 1), ("MOVE", "k", 7)],
    },
    "expired": {
        "expired": [("SET", "k", 1, "PX", 1)],
    },
}
"""By class and event: commands whose last one makes the event on `k`."""

EVENTS = {event: commands for events in WRITES.values() for event, commands in events.items()}

HOOKS = [
    ({"events": "set"}, "set"),
    ({"events": "hset hdel"}, "hset"),
    ({"events": "lpush"}, "lpush"),
    ({"events": "sadd"}, "sadd"),
    ({"events": "zadd"}, "zadd"),
    ({"events": "xdel"}, "xdel"),
    ({"events": "del"}, "del"),
    ({"events": "expired"}, "expired"),
    ({}, "zadd"),
]


@pytest.fixture
def fresh(own):
    """A server that has never had a hook."""
    assert asked(own) == set()
    return own


def asked(link):
    """The classes of events that the server tells the module of."""
    return set(filter(None, information(link, "geartrain")["geartrain_events_of"].split("+")))


def write(link, event):
    """Make an event, and only then look for it."""
    link.call("DEL", "k", "l")
    for command in EVENTS[event]:
        link.call(*command)
    if event == "expired":
        wait_for(lambda: link.call("EXISTS", "k") == 0)


@pytest.mark.parametrize("group", WRITES)
def test_an_events_name_decides_which_class_is_asked_for(fresh, group):
    """No version of the server has it in another: a hook for that event alone is told of it."""
    for event in WRITES[group]:
        set_hook(fresh, event, pattern="k", events=event)
        assert asked(fresh) == {"generic", "module", group}
        write(fresh, event)
        assert (event, b"k") in captured(fresh, event)


@pytest.mark.parametrize("seed", range(4))
def test_hooks_in_any_order_miss_no_event(fresh, seed):
    """Each class is asked for when the first hook that wants it comes."""
    order = random.Random(seed).sample(range(len(HOOKS)), len(HOOKS))
    for position in order:
        fields, event = HOOKS[position]
        set_hook(fresh, f"h{position}", pattern="k", **fields)
        write(fresh, event)
        assert (event, b"k") in captured(fresh, f"h{position}")


def test_only_what_a_hook_may_want_is_asked_for(fresh):
    """Generic events always, others when they are wanted."""
    set_hook(fresh, "a", events="hset")
    assert asked(fresh) == {"generic", "module", "hash"}
    set_hook(fresh, "b", events="xadd del")
    assert asked(fresh) == {"generic", "module", "hash", "stream"}


@pytest.mark.parametrize("fields", [{}, {"events": "set no-such-event"}, {"events": "hexpire"}])
def test_a_hook_that_may_want_anything_gets_everything(fresh, fields):
    """One without events, or with a name that the module does not know."""
    set_hook(fresh, "a", events="expired")
    set_hook(fresh, "b", **fields)
    assert asked(fresh) >= {
        "string",
        "list",
        "set",
        "hash",
        "zset",
        "stream",
        "expired",
        "evicted",
        "generic",
        "module",
    }


def test_when_hooks_go_their_events_end_where_the_server_can_do_that(fresh, module_flavour):
    """And come back with the next hook; on a server that cannot end them they go on, and are captured once."""
    for _ in range(3):
        set_hook(fresh, "a", pattern="k", events="hset")
        set_hook(fresh, "b", pattern="k", events="set")
        write(fresh, "set")
        write(fresh, "hset")
        assert captured(fresh, "a")[-1:] == [("hset", b"k")]
        assert captured(fresh, "b")[-1:] == [("set", b"k")]
        fresh.call("GEARTRAIN.HOOK", "DEL", "b")
        if module_flavour.startswith("redis"):
            wait_for(lambda: asked(fresh) == {"generic", "module", "hash"})
        write(fresh, "hset")
        assert captured(fresh, "a")[-2:] == [("hset", b"k")] * 2
        fresh.call("GEARTRAIN.HOOK", "DEL", "a")
        if module_flavour.startswith("redis"):
            wait_for(lambda: asked(fresh) == set())
    assert len(captured(fresh, "a")) == 6
    assert len(captured(fresh, "b")) == 3


def test_hooks_that_are_loaded_with_the_data_get_their_events(module_flavour, fresh_server, connect, tmp_path):
    """After a restart nobody sets them."""
    server = fresh_server(module_flavour, module={}, directory=tmp_path)
    link = connect(server)
    set_hook(link, pattern="k", events="hset")
    link.call("SAVE")
    server.restart()
    again = connect(server)
    assert asked(again) == {"generic", "module", "hash"}
    write(again, "hset")
    assert ("hset", b"k") in captured(again)


def test_every_event_of_every_type_is_told_to_one_hook(fresh):
    """A hook without events sees all of the table."""
    set_hook(fresh, pattern="k")
    for event in EVENTS:
        write(fresh, event)
    assert {name for name, _ in captured(fresh)} >= set(EVENTS)
