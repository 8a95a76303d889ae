"""snapshot=1: the value at the end of the command is in the entry. partitions: a key's events keep their order."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from geartrain.readers.values import encoded_value
from support.hooks import VALUES, captured, entries, outbox, set_hook


@pytest.mark.parametrize("kind", VALUES)
def test_a_snapshot_of_each_type(db, kind):
    """Encoded as a reply; workers decode it to what they would have read."""
    commands, expected = VALUES[kind]
    set_hook(db, snapshot=1)
    for command in commands:
        db.call(*command)
    (entry,) = entries(db)
    assert entry.type == kind
    assert encoded_value(kind, entry.value) == expected


def test_a_snapshot_is_the_same_whatever_protocol_its_client_speaks(db):
    """RESP3 in the client's connection changes nothing."""
    db.call("HELLO", 3)
    set_hook(db, snapshot=1)
    db.pipeline([("HSET", "k", "f", "v"), ("ZADD", "z", 1.5, "a"), ("SADD", "s", "a")])
    db.call("HELLO", 2)
    found = entries(db)
    values = [encoded_value(entry.type, entry.value) for entry in found]
    assert values == [{"f": "v"}, {"a": 1.5}, {"a"}]


def test_a_key_that_is_gone_has_no_value(db):
    """`del`, and what a transaction deleted again."""
    set_hook(db, snapshot=1)
    db.call("SET", "k", 1)
    db.call("DEL", "k")
    db.transaction([("SET", "l", 1), ("DEL", "l")])
    assert [entry.value is None for entry in entries(db)] == [False, True, True, True]


def test_a_large_value_and_a_changed_type(db):
    """A megabyte is kept whole; the value is that of the transaction's end, whatever type the event had."""
    set_hook(db, snapshot=1)
    db.call("SET", "k", "x" * (1 << 20))
    db.transaction([("SET", "k", 1), ("DEL", "k"), ("RPUSH", "k", "a")])
    found = entries(db)
    assert encoded_value("string", found[0].value) == "x" * (1 << 20)
    assert [entry.event for entry in found[1:]] == ["set", "del", "rpush"]


def test_without_snapshot_there_is_no_value(db):
    """The worker reads it then."""
    set_hook(db)
    db.call("SET", "k", 1)
    assert entries(db)[0].value is None


def test_partitions_share_keys_and_keep_each_ones_order(db):
    """Every event of a key is in one outbox, in order; no outbox is left out; the name without a number is not used."""
    set_hook(db, partitions=8)
    commands = [("RPUSH", f"k{number % 100}", number) for number in range(1000)]
    db.pipeline([*commands, *[("DEL", f"k{number}") for number in range(100)]])
    homes = Counter()
    for partition in range(8):
        found = captured(db, partition=partition)
        for key in {key for _, key in found}:
            homes[key] += 1
            assert [event for event, name in found if name == key] == ["rpush"] * 10 + ["del"]
        assert found
    assert set(homes.values()) == {1}
    assert len(homes) == 100
    assert not db.call("EXISTS", outbox(db))


def test_a_key_stays_in_its_partition(db, module_server, connect):
    """After the hook was set again, and on another server."""
    for link in (db, connect(module_server)):
        set_hook(link, partitions=1024)
        link.call("SET", "k", 1)
        set_hook(link, partitions=1024, version=2)
        link.call("SET", "k", 1)
    (name,) = db.call("KEYS", "geartrain:*")
    home = int(re.search(r":outbox-(\d+):h$", name)[1])
    assert captured(db, partition=home) == captured(link, partition=home) == [("set", b"k")] * 2


def test_another_number_of_partitions_takes_effect_at_once(db):
    """Entries of before stay where they are."""
    set_hook(db)
    db.call("SET", "k", 1)
    set_hook(db, partitions=2)
    db.call("SET", "k", 2)
    set_hook(db)
    db.call("SET", "k", 3)
    assert len(captured(db)) == 2
    assert sum(db.call("XLEN", outbox(db, partition=at)) for at in range(2)) == 1
