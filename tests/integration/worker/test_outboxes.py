"""`KeysReader.register` with the server module: events wait in outboxes, and none is lost."""

from __future__ import annotations

import pytest

from geartrain import execute, keys
from support.keyrecords import keys_reader, noting, records
from support.waiting import wait_for


def outboxes(place):
    """The names of all outboxes that there are."""
    return sorted(place.link.call("KEYS", "geartrain:{*}:outbox*"))


def test_events_that_happen_while_no_worker_runs_are_executed_later_in_their_order(captured):
    """They are captured from the moment when `register` returns, and wait."""
    place = captured
    registration = place.register(noting(), "k:*")
    for number in range(100):
        place.link.call("SET", f"k:{number % 7}", number)
    info = place.info(registration)
    assert (info.delivery, info.lag, info.triggered) == ("at-least-once", 100, 0)
    place.start()
    assert [record["key"] for record in records(place, 100)] == [f"k:{number % 7}" for number in range(100)]
    info = place.wait_done(registration, 100)
    assert (info.succeeded, info.last_error) == (100, None)
    (partition,) = place.client.show(registration).partitions
    assert place.link.call("XLEN", partition.stream) == 0


def test_records_tell_key_value_type_and_event(captured):
    """As with notifications: type and value are those of the moment of execution."""
    place = captured
    place.register(noting(), "k:*")
    place.start()
    writes = [
        (("SET", "k:s", "text"), "string", "text", "set"),
        (("HSET", "k:h", "f", "v"), "hash", {"f": "v"}, "hset"),
        (("RPUSH", "k:l", "1", "2"), "list", ["1", "2"], "rpush"),
        (("SADD", "k:e", "m"), "set", {"m"}, "sadd"),
        (("ZADD", "k:z", "1.5", "m"), "zset", {"m": 1.5}, "zadd"),
        (("XADD", "k:x", "1-1", "f", "v"), "stream", [("1-1", {"f": "v"})], "xadd"),
        (("DEL", "k:s"), "none", None, "del"),
    ]
    for count, (command, kind, value, event) in enumerate(writes, 1):
        place.link.call(*command)
        assert records(place, count)[-1] == {"key": command[1], "value": value, "type": kind, "event": event}


def test_a_snapshot_is_the_value_at_the_moment_of_the_event(captured):
    """Whatever has become of the key since; bytes stay bytes."""
    place = captured
    place.register(noting(), "k:*", snapshot=True)
    writes = [
        (("SET", "k:1", "text"), "string", "text", "set"),
        (("SET", "k:1", b"\xff\r\n"), "string", b"\xff\r\n", "set"),
        (("DEL", "k:1"), "none", None, "del"),
        (("HSET", "k:1", "f", "é", b"\xfe", ""), "hash", {"f": "é", b"\xfe": ""}, "hset"),
        (("RPUSH", "k:l", "1", b"\xfd"), "list", ["1", b"\xfd"], "rpush"),
        (("SADD", "k:e", "m"), "set", {"m"}, "sadd"),
        (("ZADD", "k:z", "1.5", "m"), "zset", {"m": 1.5}, "zadd"),
        (("XADD", "k:x", "1-1", "f", "v"), "stream", [("1-1", {"f": "v"})], "xadd"),
    ]
    for command, *_ in writes:
        place.link.call(*command)
    place.link.call("DEL", "k:l", "k:e", "k:z", "k:x")
    place.start()
    wanted = [
        {"key": command[1], "value": value, "type": kind, "event": event} for command, kind, value, event in writes
    ]
    assert records(place, len(writes) + 4)[: len(writes)] == wanted


def test_without_read_value_a_record_holds_the_type_of_the_event(captured):
    """Also with a snapshot, which is then not taken."""
    place = captured
    place.register(noting(), "k:*", readValue=False, snapshot=True)
    place.link.call("SET", "k:1", "x")
    assert place.link.call("XRANGE", outboxes(place)[0], "-", "+")[0][1] == [
        "event", "set", "key", "k:1", "type", "string",
    ]  # fmt: skip
    place.link.call("DEL", "k:1")
    place.start()
    assert records(place, 2)[0] == {"key": "k:1", "value": None, "type": "string", "event": "set"}


def test_a_function_sees_what_it_did_to_its_key_at_an_earlier_event(captured):
    """Values of several events are read together, but never past an event that may change them."""
    place = captured

    def once(record):
        if "done" not in record["value"]:
            execute("hset", record["key"], "done", 1)
            execute("rpush", "out:seen", repr(record["key"]))

    registration = place.register(keys_reader().foreach(once), "k:*", eventTypes=["hincrby"])
    for _ in range(10):
        place.link.pipeline([("HINCRBY", f"k:{number}", "n", 1) for number in range(5)])
    place.start()
    place.wait_done(registration, 50)
    assert records(place, 5) == [f"k:{number}" for number in range(5)]


def test_event_types_and_key_types_are_white_lists(captured):
    """The module applies them: what does not count is not captured."""
    place = captured
    registration = place.register(noting(), "k:*", eventTypes=["HSET", "del"], keyTypes=["Hash", "none"])
    place.link.call("SET", "k:s", "x")
    place.link.call("HSET", "k:h", "f", "v")
    place.link.call("HDEL", "k:h", "g")
    place.link.call("DEL", "k:h")
    assert place.info(registration).lag == 2
    place.start()
    assert [record["event"] for record in records(place, 2)] == ["hset", "del"]


def test_transactions_and_scripts_are_captured_command_by_command(captured):
    """In their order; nothing where the transaction was given up."""
    place = captured
    place.register(noting(), "k:*", readValue=False)
    place.link.transaction([("SET", "k:1", "x"), ("INCR", "n"), ("HSET", "k:2", "f", "v")])
    place.link.pipeline([("MULTI",), ("SET", "k:never", "x"), ("DISCARD",)])
    script = "redis.call('SET', KEYS[1], 1); redis.call('DEL', KEYS[1]); return redis.call('RPUSH', KEYS[2], 1)"
    place.link.call("EVAL", script, 2, "k:3", "k:4")
    place.start()
    found = [(record["event"], record["key"]) for record in records(place, 5)]
    assert found == [("set", "k:1"), ("hset", "k:2"), ("set", "k:3"), ("del", "k:3"), ("rpush", "k:4")]


def test_keys_that_expire_are_captured(captured):
    """With no value: it is gone."""
    place = captured
    place.register(noting(), "k:*", eventTypes=["expired"], snapshot=True)
    place.link.call("SET", "k:1", "x", "PX", 1)
    wait_for(lambda: place.link.call("EXISTS", "k:1") == 0)
    place.start()
    assert records(place, 1) == [{"key": "k:1", "value": None, "type": "none", "event": "expired"}]


def test_keys_are_any_bytes(captured):
    """They come as they are: with zero bytes, line ends, braces, and no valid UTF-8."""
    place = captured
    place.register(noting(), "*", keyTypes=["string"])
    names = [b"\x00", b"a\x00b", b"\r\n", b"{", b"}{x", b"\xff\xfe", "é".encode(), b"k" * 5000]
    for number, name in enumerate(names):
        place.link.call("SET", name, number)
    place.start()
    found = {record["key"] if isinstance(record["key"], bytes) else record["key"].encode(): record["value"]
             for record in records(place, len(names))}  # fmt: skip
    assert found == {name: str(number) for number, name in enumerate(names)}


def test_partitions_spread_the_keys_and_keep_each_key_in_order(captured):
    """Two workers share them."""
    place = captured
    builder = keys_reader().foreach(lambda r: execute("rpush", f"out:{r['key']}", r["value"]))
    registration = place.register(builder, "k:*", partitions=8, snapshot=True)
    for _ in range(2):
        place.start()
    names = [f"k:{number}" for number in range(50)]
    for value in range(20):
        place.link.pipeline([("SET", name, value) for name in names])
    place.wait_info(registration, lambda info: info.triggered == 1000 and info.lag == 0, 30)
    for name in names:
        assert place.link.call("LRANGE", f"out:{name}", 0, -1) == [str(value) for value in range(20)]
    partitions = place.client.show(registration).partitions
    tag = place.link.call("GEARTRAIN.HOOK", "LIST")[1].encode()
    assert {item.stream.encode() for item in partitions} == set(keys.outboxes(tag, registration, 8))
    assert len({item.owner for item in partitions}) == 2


def test_the_outbox_limit_drops_and_counts(captured):
    """What is past it is not captured; the statistics say how many."""
    place = captured
    registration = place.register(noting(), "k:*", outboxLimit=5)
    place.link.pipeline([("SET", f"k:{number}", "x") for number in range(50)])
    info = place.info(registration)
    assert (info.lag, info.dropped) == (5, 45)
    place.start()
    assert [record["key"] for record in records(place, 5)] == [f"k:{number}" for number in range(5)]
    place.wait_done(registration, 5)
    place.link.call("SET", "k:again", "x")
    assert records(place, 6)[-1]["key"] == "k:again"


def test_a_failure_is_counted_and_the_next_event_is_executed(captured):
    """The policy of key events is `continue`; so it is for an entry that is none of the module's."""
    place = captured

    def fail_on_bad(record):
        if record["key"] == "k:bad":
            raise ValueError("bad key")
        execute("rpush", "out:seen", repr(record["key"]))

    registration = place.register(keys_reader().foreach(fail_on_bad), "k:*")
    for key in ("k:1", "k:bad", "k:2"):
        place.link.call("SET", key, "x")
    place.link.call("XADD", outboxes(place)[0], "*", "not", "ours")
    place.link.call("SET", "k:3", "x")
    place.start()
    assert records(place, 3) == ["k:1", "k:2", "k:3"]
    info = place.wait_done(registration, 5)
    assert (info.succeeded, info.failed, info.status) == (3, 2, "active")
    outcomes = [item.outcome for item in place.client.show(registration).history]
    assert outcomes == ["succeeded", "failed", "succeeded", "failed", "succeeded"]


def test_stream_key_is_none_in_a_keys_reader(captured):
    """The outbox is ours, not the user's."""
    source = """
from geartrain.runtime import streamKey
GearsBuilder("KeysReader").foreach(lambda _: execute("rpush", "out:seen", repr(streamKey()))).register("k:*")
"""
    captured.client.execute(source, session="script")
    captured.link.call("SET", "k:1", "x")
    captured.start()
    assert records(captured, 1) == [None]


@pytest.mark.parametrize("mode", ["async", "async_local"])
def test_an_abandoned_outbox_goes_on_with_another_worker(captured, mode):
    """Nothing is executed twice where the first one stops cleanly."""
    place = captured
    registration = place.register(noting(), "k:*", mode=mode)
    first = place.start()
    place.link.pipeline([("SET", f"k:{number}", "x") for number in range(200)])
    place.wait_info(registration, lambda info: info.triggered)
    first.stop()
    place.link.pipeline([("SET", f"k:{number}", "x") for number in range(200, 300)])
    place.start()
    place.wait_info(registration, lambda info: info.lag == 0)
    assert [record["key"] for record in records(place, 300)] == [f"k:{number}" for number in range(300)]
