"""Capture: which events come into an outbox, and what its entries say."""

from __future__ import annotations

import pytest

from geartrain.errors import CommandError
from support.hooks import Entry, captured, entries, hooks, information, outbox, raw_entries, set_hook
from support.waiting import wait_for


@pytest.mark.parametrize(
    ("before", "command", "expected"),
    [
        ([], ("SET", "k", "v"), [Entry("set", b"k", "string")]),
        ([], ("APPEND", "k", "v"), [Entry("append", b"k", "string")]),
        ([], ("INCRBY", "k", 5), [Entry("incrby", b"k", "string")]),
        ([], ("MSET", "k", 1, "l", 2), [Entry("set", b"k", "string"), Entry("set", b"l", "string")]),
        ([], ("HSET", "k", "f", "v"), [Entry("hset", b"k", "hash")]),
        ([], ("LPUSH", "k", "a", "b"), [Entry("lpush", b"k", "list")]),
        ([], ("SADD", "k", "a"), [Entry("sadd", b"k", "set")]),
        ([], ("ZADD", "k", 1, "a"), [Entry("zadd", b"k", "zset")]),
        ([], ("XADD", "k", "1-1", "f", "v"), [Entry("xadd", b"k", "stream")]),
        ([("SET", "k", 1)], ("DEL", "k"), [Entry("del", b"k", "none")]),
        ([("SET", "k", 1)], ("UNLINK", "k"), [Entry("del", b"k", "none")]),
        ([("SET", "k", 1)], ("EXPIRE", "k", 100), [Entry("expire", b"k", "string")]),
        ([("SET", "k", 1, "EX", 9)], ("PERSIST", "k"), [Entry("persist", b"k", "string")]),
        ([("LPUSH", "k", 1)], ("LPOP", "k"), [Entry("lpop", b"k", "list"), Entry("del", b"k", "none")]),
        (
            [("SET", "k", 1)],
            ("RENAME", "k", "l"),
            [Entry("rename_from", b"k", "none"), Entry("rename_to", b"l", "string")],
        ),
        ([("HSET", "k", "f", 1)], ("COPY", "k", "l"), [Entry("copy_to", b"l", "hash")]),
        ([], ("SETRANGE", "k", 3, "x"), [Entry("setrange", b"k", "string")]),
        ([("RPUSH", "k", 2, 1)], ("SORT", "k", "STORE", "l"), [Entry("sortstore", b"l", "list")]),
        ([("SET", "k", 1)], ("GET", "k"), []),
        ([("SET", "k", 1)], ("SET", "k", 2, "NX"), []),
        ([], ("DEL", "k"), []),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_each_write_is_captured_as_the_event_that_it_is(db, before, command, expected):
    """Event, key and type at that moment; a command that changes nothing leaves no entry."""
    for item in before:
        db.call(*item)
    set_hook(db)
    db.call(*command)
    assert entries(db) == expected
    assert hooks(db)["h"].captured == len(expected)


def test_a_key_that_expires_is_captured_when_the_server_notices(db):
    """By its own cycle, and by a read that finds it expired: once, in either case."""
    set_hook(db, events="expired")
    db.call("SET", "active", 1, "PX", 1)
    wait_for(lambda: captured(db) == [("expired", b"active")])
    db.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    db.call("SET", "lazy", 1, "PX", 1)
    wait_for(lambda: db.call("GET", "lazy") is None)
    db.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    assert entries(db)[1:] == [Entry("expired", b"lazy", "none")]


@pytest.mark.parametrize("policy", ["volatile-lru", "allkeys-lru"])
def test_a_key_that_is_evicted_is_captured(db, policy):
    """Under maxmemory each evicted key has its entry; `allkeys` policies may evict outboxes too."""
    set_hook(db, events="evicted", pattern="k:*")
    used = int(information(db, "memory")["used_memory"])
    db.call("CONFIG", "SET", "maxmemory", used + (1 << 20), "maxmemory-policy", policy)
    names = [b"k:%d" % number for number in range(500)]
    for name in names:
        db.call("SET", name, "x" * 10_000, "EX", 1000)
    db.call("CONFIG", "SET", "maxmemory", 0)
    gone = [name for name in names if not db.call("EXISTS", name)]
    assert 0 < len(gone) < 500
    evicted = [entry.key for entry in entries(db)]
    assert len(evicted) == len(set(evicted))
    assert set(evicted) <= set(gone)
    if policy.startswith("volatile"):
        assert sorted(evicted) == sorted(gone)


def test_a_transaction_has_its_entries_after_its_last_command(db, connect):
    """MULTI: one entry for each write, in order, when EXEC answers; a discarded one has none."""
    set_hook(db)
    assert db.transaction([("SET", "a", 1), ("SET", "b", 2), ("DEL", "a"), ("XLEN", outbox(db))])[-1] == 0
    assert captured(db) == [("set", b"a"), ("set", b"b"), ("del", b"a")]
    db.pipeline([("MULTI",), ("SET", "c", 1), ("DISCARD",)])
    assert len(entries(db)) == 3


def test_a_script_has_its_entries_after_its_end(db):
    """Lua: as a transaction; also what it did before it failed."""
    set_hook(db)
    db.call("EVAL", "redis.call('SET', 'a', 1); redis.call('HSET', 'b', 'f', 1)", 0)
    with pytest.raises(CommandError):
        db.call("EVAL", "redis.call('SET', 'c', 1); redis.call('HSET', 'c', 'f', 1)", 0)
    assert captured(db) == [("set", b"a"), ("hset", b"b"), ("set", b"c")]


def test_keys_and_patterns_are_bytes(db):
    """NUL, line breaks, bytes that are no UTF-8, and the empty key are kept as they are."""
    set_hook(db, pattern=b"\x00\xff*")
    set_hook(db, "any")
    names = [b"\x00\xff", b"\x00\xff\r\n$3\r\n\x00", b"\x00", b"\xff\xfe", b"", b"\x00\xff" * 5000]
    for name in names:
        db.call("SET", name, b"\x00\xff")
    assert [entry.key for entry in entries(db, "any")] == names
    assert [entry.key for entry in entries(db)] == [name for name in names if name.startswith(b"\x00\xff")]


def test_white_lists_of_events_and_types(db):
    """Whole words, whatever their case in the hook; an absent list takes all."""
    set_hook(db, "events", events="SET hset")
    set_hook(db, "types", types="Hash zset")
    set_hook(db, "both", events="hset", types="string")
    set_hook(db, "part", events="se hse t")
    for command in [("SET", "a", 1), ("HSET", "b", "f", 1), ("ZADD", "c", 1, "m"), ("DEL", "a"), ("EXPIRE", "b", 100)]:
        db.call(*command)
    assert captured(db, "events") == [("set", b"a"), ("hset", b"b")]
    assert captured(db, "types") == [("hset", b"b"), ("zadd", b"c"), ("expire", b"b")]
    assert captured(db, "both") == captured(db, "part") == []


def test_our_own_keys_are_never_captured(db):
    """Nothing under `geartrain:`, the outboxes least of all; what only looks like it is a key as any."""
    set_hook(db)
    for key in ("geartrain:", "geartrain:x", "geartrain", "xgeartrain:", "Geartrain:x"):
        db.call("SET", key, 1)
    db.call("DEL", "geartrain:x")
    assert captured(db) == [("set", b"geartrain"), ("set", b"xgeartrain:"), ("set", b"Geartrain:x")]


def test_a_stream_hook_takes_nothing_but_xadd(db):
    """reader=stream: for functions in the server; async hooks of it see entries of streams only."""
    set_hook(db, reader="stream")
    db.call("XADD", "s", "1-1", "f", "v")
    db.call("SET", "k", 1)
    db.call("XTRIM", "s", "MAXLEN", 0)
    assert captured(db) == [("xadd", b"s")]


def test_an_outbox_is_bounded_where_it_is_told_to_be(db):
    """Past `limit` events are not captured, and counted; when it was trimmed they are again."""
    set_hook(db, limit=3)
    for number in range(5):
        db.call("SET", f"k{number}", 1)
    assert [entry.key for entry in entries(db)] == [b"k0", b"k1", b"k2"]
    assert (hooks(db)["h"].captured, hooks(db)["h"].dropped) == (3, 2)
    db.call("XTRIM", outbox(db), "MAXLEN", 1)
    db.call("SET", "k5", 1)
    assert [entry.key for entry in entries(db)] == [b"k2", b"k5"]
    assert hooks(db)["h"].dropped == 2


def test_a_refused_write_has_no_entry_and_an_accepted_one_has(db):
    """`maxmemory` with noeviction: whether the outbox grows is decided with the write."""
    db.call("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "noeviction")
    set_hook(db)
    with pytest.raises(CommandError, match="OOM"):
        db.call("SET", "k", 1)
    assert entries(db) == []
    db.call("CONFIG", "SET", "maxmemory", 0)
    db.call("MSET", "k", 1, "l", 1)
    db.call("CONFIG", "SET", "maxmemory", 1)
    db.call("DEL", "k")  # allowed at any time
    assert captured(db) == [("set", b"k"), ("set", b"l"), ("del", b"k")]


def test_an_outbox_that_is_no_stream_is_said_and_nothing_stops(db):
    """Somebody wrote to our key: the write goes through, LIST tells, and a deleted key heals it."""
    set_hook(db)
    db.call("SET", outbox(db), "x")
    assert db.call("SET", "k", 1) == "OK"
    assert "something else than a stream" in hooks(db)["h"].error
    assert hooks(db)["h"].captured == 0
    db.call("DEL", outbox(db))
    db.call("SET", "k", 2)
    assert captured(db) == [("set", b"k")]
    assert hooks(db)["h"].error == ""


def test_a_full_stream_is_said_and_nothing_stops(db):
    """An outbox whose last id is the largest takes no entries."""
    set_hook(db)
    db.call("XADD", outbox(db), "18446744073709551615-18446744073709551615", "f", "v")
    assert db.call("SET", "k", 1) == "OK"
    assert "takes no entries" in hooks(db)["h"].error


def test_a_write_to_several_hooks_is_captured_by_each(db):
    """Each has an outbox of its own."""
    for name, pattern in (("a", "k:*"), ("b", "*:1"), ("c", "k:1"), ("d", "[k]:?"), ("e", "x*")):
        set_hook(db, name, pattern=pattern)
    db.call("SET", "k:1", 1)
    assert [name for name in "abcde" if captured(db, name) == [("set", b"k:1")]] == ["a", "b", "c", "d"]


def test_ids_of_hooks_are_bytes(db):
    """An id with NUL, braces or spaces names an outbox of its own."""
    names = ["", " ", "a\x00b", "a\x00c", "}{", "a:b"]
    for name in names[1:]:
        set_hook(db, name, pattern="k")
    db.call("SET", "k", 1)
    for name in names[1:]:
        assert len(raw_entries(db, name)) == 1, name
