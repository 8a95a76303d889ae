"""GEARTRAIN.HOOK: what it takes, what it refuses, who may use it, and how many hooks it bears."""

from __future__ import annotations

import pytest

from geartrain.errors import CommandError
from geartrain.wire import ErrorReply, pack
from support.hooks import HookState, captured, hooks, information, listing, set_hook, setting

HOOK = "GEARTRAIN.HOOK"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "wrong number of arguments"),
        (("NONSENSE",), "GEARTRAIN.HOOK has SET, DEL, CHECK and LIST, not 'NONSENSE'"),
        (("",), "has SET, DEL, CHECK and LIST"),
        (("SET",), "wrong number of arguments"),
        (("SET", "new"), "wrong number of arguments"),
        (("SET", "", "1"), "id must not be empty"),
        (("SET", "new", "one"), "its version is 'one'; it must be a number"),
        (("SET", "new", ""), "its version is ''; it must be a number"),
        (("SET", "new", "-1", "pattern", "k"), "its version is '-1'; it must be a number"),
        (("SET", "new", "1", "mode"), "wrong number of arguments"),
        (("SET", "new", "1", "colour", "red"), "no field 'colour'; use reader, mode, pattern"),
        (("SET", "new", "1", "mode", "quick"), "mode is 'quick'; it must be async or sync"),
        (("SET", "new", "1", "reader", "lists"), "reader is 'lists'; it must be keys, stream or command"),
        (("SET", "new", "1", "partitions", "0"), "must be a number from 1 to 1024"),
        (("SET", "new", "1", "partitions", "1025"), "must be a number from 1 to 1024"),
        (("SET", "new", "1", "partitions", "-1"), "must be a number from 1 to 1024"),
        (("SET", "new", "1", "partitions", "two"), "must be a number from 1 to 1024"),
        (("SET", "new", "1", "partitions", ""), "must be a number from 1 to 1024"),
        (("SET", "new", "1", "partitions", "9" * 40), "must be a number from 1 to 1024"),
        (("SET", "new", "1", "snapshot", "yes"), "must be 0 or 1"),
        (("SET", "new", "1", "value", "2"), "must be 0 or 1"),
        (("SET", "new", "1", "limit", "-5"), "must be a number of entries"),
        (("SET", "new", "1", "limit", "1.5"), "must be a number of entries"),
        (("SET", "new", "1", "pattern", "x", "limit", "lots"), "must be a number of entries"),
        (("SET", "h", "9", "limit", "a\r\nb"), "limit is 'a  b'"),
        (("SET", "h", "9", "n" * 10_000, "v" * 10_000), "no field 'nnn"),
        (("DEL",), "wrong number of arguments"),
        (("DEL", "h", "more"), "its version is 'more'; it must be a number"),
        (("DEL", "h", "1", "more"), "after the version comes UNLINK, not 'more'"),
        (("DEL", "h", "1", "UNLINK", "k"), "UNLINK takes keys `geartrain:{...}:...:<id>` alone"),
        (("DEL", "h", "1", "UNLINK", "geartrain:{1}:outbox:other"), "UNLINK takes keys"),
        (("DEL", "h", "1", "UNLINK", "geartrain:{1}:outbox:h", "geartrain:{h"), "UNLINK takes keys"),
        (("LIST", "more"), "wrong number of arguments"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_a_wrong_command_says_what_is_wrong_and_changes_nothing(db, words, message):
    """The value and what is allowed are in the error; the hooks are those of before."""
    set_hook(db, pattern="k")
    before = hooks(db)
    with pytest.raises(CommandError) as caught:
        db.call(HOOK, *words)
    assert message in str(caught.value)
    assert hooks(db) == before
    db.call("SET", "k", 1)
    assert captured(db) == [("set", b"k")]


def test_list_says_tag_sync_and_each_hook(db):
    """A flat array of names and values; a hook is [id, version, error, captured, dropped, aborted]."""
    assert db.call(HOOK, "LIST")[::2] == ["tag", "sync", "hooks", "used"]
    set_hook(db, "a", version=77, pattern="k")
    set_hook(db, "b")
    db.call("SET", "k", 1)
    db.call("SET", "l", 1)
    assert isinstance(listing(db)["tag"], str)
    assert hooks(db) == {"a": HookState("a", "77", "", 1, 0), "b": HookState("b", "1", "", 2, 0)}


def test_setting_a_hook_again_replaces_it_and_counts_on(db):
    """Fields that are not given are the defaults again."""
    set_hook(db, pattern="k", limit=1)
    db.call("SET", "k", 1)
    db.call("SET", "k", 1)
    assert hooks(db)["h"] == HookState("h", "1", "", 1, 1)
    set_hook(db, version=2)
    db.call("SET", "other", 1)
    assert hooks(db)["h"] == HookState("h", "2", "", 2, 1)
    assert captured(db) == [("set", b"k"), ("set", b"other")]


def test_words_are_taken_in_any_case_and_order(db):
    """The last of two fields with one name counts."""
    assert db.call("geartrain.hook", "sEt", "h", 1, "PATTERN", "x", "Limit", 0, "mode", "ASYNC", "pattern", "k") == "OK"
    db.call("SET", "k", 1)
    db.call("SET", "x", 1)
    assert captured(db) == [("set", b"k")]


def test_deleting_says_whether_there_was_one(db):
    """1, then 0; its outbox stays until somebody has read it."""
    set_hook(db)
    db.call("SET", "k", 1)
    assert db.call(HOOK, "DEL", "h") == 1
    assert db.call(HOOK, "DEL", "h") == 0
    db.call("SET", "k", 2)
    assert captured(db) == [("set", b"k")]


def test_only_administrators_set_and_see_hooks(db):
    """ACL: the commands are in @admin and @dangerous."""
    db.call("ACL", "SETUSER", "bob", "on", ">pw", "~*", "&*", "+@all", "-@admin")
    db.call("AUTH", "bob", "pw")
    for words in (("SET", "h", 1), ("DEL", "h"), ("LIST",)):
        with pytest.raises(CommandError, match="NOPERM"):
            db.call(HOOK, *words)
    with pytest.raises(CommandError, match="NOPERM"):
        db.call("GEARTRAIN.ATOMIC", 100)


def test_administrators_need_no_other_category(db):
    """`+@admin` is enough."""
    db.call("ACL", "SETUSER", "eve", "on", ">pw", "-@all", "+@admin")
    db.call("AUTH", "eve", "pw")
    assert hooks(db) == {}


def test_hooks_wait_while_writes_are_paused(db, connect):
    """CLIENT PAUSE WRITE, as in a failover: what replicas would get must not be written; the server aborts on that."""
    set_hook(db)
    db.call("CLIENT", "PAUSE", 60_000, "WRITE")
    pausing = connect(db.endpoint.url)
    db.send(pack(setting("other")))
    assert pausing.call("PING") == "PONG"
    pausing.call("CLIENT", "UNPAUSE")
    assert db.replies(1) == ["OK"]
    assert set(hooks(pausing)) == {"h", "other"}


def test_hooks_may_be_set_in_transactions_and_scripts(db):
    """As any command; what follows in the transaction is seen by the new hook."""
    db.transaction([("SET", "a", 1), setting("h"), ("SET", "b", 1)])
    assert captured(db) == [("set", b"b")]
    db.call("EVAL", "redis.call('GEARTRAIN.HOOK', 'SET', 'lua', 1); redis.call('SET', 'c', 1)", 0)
    assert captured(db, "lua") == [("set", b"c")]


def test_ten_thousand_hooks(db):
    """Set, listed, one of them matching, and deleted."""
    names = [f"hook-{number}" for number in range(10_000)]
    replies = db.pipeline([setting(name, pattern=f"p{name}:*") for name in names])
    assert set(replies) == {"OK"}
    assert set(hooks(db)) == set(names)
    assert information(db, "geartrain")["geartrain_hooks"] == "10000"
    db.pipeline([("SET", "phook-77:x", 1), ("SET", "phook-7777:x", 1), ("SET", "other", 1)])
    assert captured(db, "hook-77") == [("set", b"phook-77:x")]
    assert sum(hook.captured for hook in hooks(db).values()) == 2
    assert sum(db.pipeline([(HOOK, "DEL", name) for name in names])) == 10_000
    assert hooks(db) == {}
    assert db.call("SET", "phook-77:x", 1) == "OK"


def test_a_replica_refuses_to_change_hooks(db, module_server, own, module_flavour, replicate):
    """READONLY; what its primary has is there."""
    set_hook(own, pattern="k")
    _, replica = replicate(module_server, module_flavour)
    replies = replica.pipeline([setting("new"), (HOOK, "DEL", "h")])
    assert all(isinstance(reply, ErrorReply) and reply.text.startswith("READONLY") for reply in replies)
    assert list(hooks(replica)) == ["h"]
