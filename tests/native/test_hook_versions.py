"""Versions of hooks: who is late changes nothing, and the events of a registration that came again stay."""

from __future__ import annotations

import pytest

from support.hooks import captured, hooks, outbox, set_hook, setting
from support.waiting import wait_for

HOOK = "GEARTRAIN.HOOK"


def test_an_older_hook_is_not_set(db):
    """OLD is the answer, and the later one stays as it was; the same version and later ones are taken."""
    set_hook(db, version=7, pattern="k")
    assert db.call(*setting("h", version=6, pattern="other")) == "OLD"
    db.call("SET", "k", 1)
    db.call("SET", "other", 1)
    assert hooks(db)["h"].version == "7"
    assert captured(db) == [("set", b"k")]
    for version in (7, 8, 2**63 - 1):
        assert db.call(*setting("h", version=version)) == "OK"
    assert db.call(*setting("h", version=8)) == "OLD"


@pytest.mark.parametrize("words", [(), ("UNLINK",)])
def test_a_later_hook_is_not_deleted(db, words):
    """0, and its events stay; of its own version or a later one it goes."""
    set_hook(db, version=7)
    db.call("SET", "k", 1)
    assert db.call(HOOK, "DEL", "h", 6, *words) == 0
    assert captured(db) == [("set", b"k")]
    assert db.call(HOOK, "DEL", "h", 7, *words) == 1
    set_hook(db, version=7)
    assert db.call(HOOK, "DEL", "h", 8, *words) == 1
    assert hooks(db) == {}


def test_without_unlink_the_events_stay(db):
    """A registration that needs no hook for a while finds them again."""
    set_hook(db)
    db.call("SET", "k", 1)
    assert db.call(HOOK, "DEL", "h", 1) == 1
    assert captured(db) == [("set", b"k")]


def test_unlink_takes_the_outboxes_and_what_is_named_with_the_hook(db):
    """All partitions, and keys of before; those of others stay."""
    set_hook(db, partitions=3)
    set_hook(db, "other")
    db.pipeline([("SET", f"k{number}", 1) for number in range(30)])
    named, foreign = "geartrain:{77}:outbox:h", "geartrain:{77}:outbox:h2"
    db.pipeline([("XADD", key, "*", "a", 1) for key in (named, foreign)])
    assert len(db.call("KEYS", "geartrain:*:h")) == 4
    assert db.call(HOOK, "DEL", "h", 1, "UNLINK", named, "geartrain:{9}:stats:h") == 1
    assert sorted(db.call("KEYS", "geartrain:*")) == sorted([outbox(db, "other"), foreign])


def test_what_is_named_goes_where_there_is_no_hook_and_stays_where_there_is_a_later_one(db):
    """Without a hook nothing can have been captured for a registration that came again."""
    named = "geartrain:{77}:outbox:h"
    db.call("XADD", named, "*", "a", 1)
    set_hook(db, version=8)
    assert db.call(HOOK, "DEL", "h", 7, "UNLINK", named) == 0
    assert db.call("EXISTS", named) == 1
    db.call(HOOK, "DEL", "h")
    assert db.call(HOOK, "DEL", "h", 7, "UNLINK", named) == 0
    assert db.call("EXISTS", named) == 0


def test_replicas_and_the_append_only_file_have_what_became_of_it(fresh_server, module_flavour, connect, replicate):
    """The hook and its outboxes are gone there; the later ones are there."""
    server = fresh_server(module_flavour, module={}, aof="always")
    link = connect(server)
    _, replica = replicate(server, module_flavour)
    set_hook(link, version=3, partitions=2)
    set_hook(link, "stays", version=3)
    link.pipeline([("SET", f"k{number}", 1) for number in range(9)])
    link.call(*setting("stays", version=2, pattern="none"))
    link.call(HOOK, "DEL", "stays", 2, "UNLINK")
    link.call(HOOK, "DEL", "h", 3, "UNLINK")
    expected = (list(hooks(link)), sorted(link.call("KEYS", "geartrain:*")))
    assert expected == (["stays"], [outbox(link, "stays")])
    wait_for(lambda: (list(hooks(replica)), sorted(replica.call("KEYS", "geartrain:*"))) == expected)
    server.kill()
    server.restart()
    link = connect(server)
    assert (list(hooks(link)), sorted(link.call("KEYS", "geartrain:*"))) == expected
    assert hooks(link)["stays"].version == "3"
