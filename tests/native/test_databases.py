"""Databases: a hook belongs to the one in which it was set, and goes with its keys."""

from __future__ import annotations

import pytest

from support.hooks import captured, hooks, set_hook


@pytest.fixture
def other(db, connect):
    """A second connection to the same server, to database 3."""
    return connect(db.endpoint.url, 3)


def test_a_hook_sees_the_keys_of_its_own_database(db, other):
    """The same id may be in several; each has its outbox in its own."""
    set_hook(db)
    set_hook(other)
    db.call("SET", "a", 1)
    other.call("SET", "b", 1)
    assert captured(db) == [("set", b"a")]
    assert captured(other) == [("set", b"b")]
    assert db.call("GEARTRAIN.HOOK", "DEL", "h") == 1
    assert hooks(db) == {}
    assert list(hooks(other)) == ["h"]


def test_a_transaction_over_databases_writes_each_entry_into_its_own(db, other):
    """SELECT within MULTI: the outbox is in the hook's database."""
    set_hook(db)
    set_hook(other)
    db.transaction([("SET", "a", 1), ("SELECT", 3), ("SET", "b", 1), ("SELECT", 0), ("SET", "c", 1)])
    assert captured(db) == [("set", b"a"), ("set", b"c")]
    assert captured(other) == [("set", b"b")]
    assert db.call("DBSIZE") == 3


def test_move_and_copy_are_events_of_each_database(db, other):
    """MOVE leaves one and comes to the other."""
    set_hook(db)
    set_hook(other)
    db.call("SET", "k", 1)
    db.call("MOVE", "k", 3)
    db.call("SET", "l", 1)
    db.call("COPY", "l", "m", "DB", 3)
    assert captured(db) == [("set", b"k"), ("move_from", b"k"), ("set", b"l")]
    assert captured(other) == [("move_to", b"k"), ("copy_to", b"m")]


def test_hooks_go_with_their_keys_when_databases_are_exchanged(db, other):
    """SWAPDB: hooks, counters and outboxes are in the other database."""
    set_hook(db, "zero")
    set_hook(other, "three")
    set_hook(db, "both", version=1)
    set_hook(other, "both", version=2)
    db.call("SET", "a", 1)
    db.call("SWAPDB", 0, 3)
    db.call("SWAPDB", 5, 5)
    assert {name: hook.version for name, hook in hooks(db).items()} == {"three": "1", "both": "2"}
    assert {name: hook.version for name, hook in hooks(other).items()} == {"zero": "1", "both": "1"}
    assert hooks(other)["zero"].captured == 1
    other.call("SET", "b", 1)
    assert captured(other, "zero") == [("set", b"a"), ("set", b"b")]
    assert captured(db, "three") == []
    db.call("SWAPDB", 0, 9)
    assert hooks(db) == {}
    db.call("SET", "c", 1)
    assert db.call("DBSIZE") == 1


def test_a_flushed_database_has_no_hooks_any_more(db, other):
    """FLUSHDB: of that database; FLUSHALL: of all. Events come again after the hooks were set again."""
    set_hook(db)
    set_hook(other)
    other.call("FLUSHDB")
    assert hooks(other) == {}
    assert list(hooks(db)) == ["h"]
    db.call("SET", "k", 1)
    assert captured(db) == [("set", b"k")]
    set_hook(other)
    other.call("FLUSHALL", "ASYNC")
    assert hooks(db) == hooks(other) == {}
    db.call("SET", "k", 1)
    assert db.call("DBSIZE") == 1
    set_hook(db)
    db.call("SET", "k", 1)
    assert captured(db) == [("set", b"k")]


def test_flushing_and_exchanging_within_a_transaction(db, other):
    """What was noted for a hook that is gone at the end of the transaction is forgotten."""
    set_hook(db)
    set_hook(other)
    db.transaction([("SET", "k", 1), ("FLUSHDB",), ("SET", "l", 1)])
    assert db.call("KEYS", "*") == ["l"]
    set_hook(db)
    db.transaction([("SET", "m", 1), ("SWAPDB", 0, 3), ("SET", "n", 1)])
    # `m` was written in what is database 3 now, and `n` in what was it before.
    assert captured(other) == [("set", b"m")]
    assert captured(db) == [("set", b"n")]
    db.transaction([("SET", "o", 1), ("GEARTRAIN.HOOK", "DEL", "h"), ("SET", "p", 1)])
    assert "o" in db.call("KEYS", "*")
