"""`KeysReader.register`: keyspace notifications to records, argument by argument."""

from __future__ import annotations

import threading

import pytest

from geartrain import GearsBuilder, NeedsModule, execute
from geartrain.wire import Endpoint, Link
from geartrain.worker.leases import key_events_lease
from support.keyrecords import keys_reader, noting, records
from support.waiting import wait_for
from support.working import Workplace


def test_the_first_example_of_the_specification_works_and_comes_to_rest(everywhere):
    """Every key that is touched is deleted; the deletion's own event deletes nothing more."""
    place = everywhere
    registration = place.register(keys_reader().foreach(lambda x: execute("del", x["key"])))
    place.start()
    for number in range(20):
        place.link.call("SET", f"key:{number}", "x")
    place.link.call("HSET", "hash", "f", "v")
    wait_for(lambda: [key for key in place.link.call("KEYS", "*") if not str(key).startswith("geartrain:")] == [])
    # One event of the write and one of the deletion for each key, and no more.
    info = place.wait_info(registration, lambda info: info.triggered == 42)
    place.link.call("PUBLISH", "__keyevent@0__:set", "sentinel")
    info = place.wait_info(registration, lambda info: info.triggered == 43)
    assert info.last_error is None
    assert info.delivery == "best-effort"


def test_records_tell_key_value_type_and_event(everywhere):
    """Each type's value has its Python form; it is read when the function runs."""
    place = everywhere
    place.register(noting(), "k:*")
    place.start()
    writes = [
        (("SET", "k:s", "text"), "string", "text", "set"),
        (("HSET", "k:h", "f", "v"), "hash", {"f": "v"}, "hset"),
        (("RPUSH", "k:l", "1", "2"), "list", ["1", "2"], "rpush"),
        (("SADD", "k:e", "m"), "set", {"m"}, "sadd"),
        (("ZADD", "k:z", "1.5", "m"), "zset", {"m": 1.5}, "zadd"),
        (("DEL", "k:s"), "none", None, "del"),
    ]
    for count, (command, kind, value, event) in enumerate(writes, 1):
        place.link.call(*command)
        assert records(place, count)[-1] == {"key": command[1], "value": value, "type": kind, "event": event}


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [("person:*", "person:1", "animal:1"), ("exact", "exact", "exact2"), ("h[ae]llo", "hallo", "hillo")],
)
def test_the_pattern_selects_keys(place, pattern, matching, other):
    """Prefix, exact name and class, as in `SCAN MATCH`."""
    place.register(noting(), regex=pattern)
    place.start()
    place.link.call("SET", other, "x")
    place.link.call("SET", matching, "x")
    assert [record["key"] for record in records(place, 1)] == [matching]


@pytest.mark.parametrize("mode", ["async", "async_local"])
def test_the_asynchronous_modes_run_in_a_worker(place, mode):
    """Both are executed."""
    place.register(noting(), "k:*", mode=mode)
    place.start()
    place.link.call("SET", "k:1", mode)
    assert records(place, 1)[0]["value"] == mode


def test_mode_sync_says_that_it_needs_the_module(place):
    """Nothing is registered."""
    with pytest.raises(NeedsModule, match="loadmodule"):
        place.register(noting(), "k:*", mode="sync")
    assert place.client.registrations() == []


@pytest.mark.parametrize("words", [["set", "del"], ("SET", "Del")])
def test_event_types_is_a_white_list_in_any_case(everywhere, words):
    """Only these events trigger."""
    place = everywhere
    place.register(noting(), "k:*", eventTypes=words)
    place.start()
    place.link.call("HSET", "k:h", "f", "v")
    place.link.call("SET", "k:1", "x")
    place.link.call("EXPIRE", "k:1", 100)
    place.link.call("DEL", "k:1")
    assert [record["event"] for record in records(place, 2)] == ["set", "del"]


@pytest.mark.parametrize("words", [["hash", "list"], ["HASH", "List"]])
def test_key_types_is_a_white_list_in_any_case(everywhere, words):
    """Only keys of these types trigger; what does not count is not counted."""
    place = everywhere
    registration = place.register(noting(), "k:*", keyTypes=words)
    place.start()
    place.link.call("SET", "k:s", "x")
    place.link.call("HSET", "k:h", "f", "v")
    place.link.call("DEL", "k:s")
    place.link.call("RPUSH", "k:l", "1")
    assert [record["type"] for record in records(place, 2)] == ["hash", "list"]
    place.wait_info(registration, lambda info: info.triggered == 2)


def test_read_value_false_leaves_the_value_out(place):
    """The record still tells the type."""
    place.register(noting(), "k:*", readValue=False)
    place.start()
    place.link.call("SET", "k:1", "x")
    assert records(place, 1) == [{"key": "k:1", "value": None, "type": "string", "event": "set"}]


@pytest.mark.parametrize("argument", ["OnRegistered", "onRegistered"])
def test_on_registered_is_called_before_the_first_event(place, argument):
    """Once in the process."""
    place.register(noting(), "k:*", **{argument: lambda: execute("incr", "prepared")})
    place.start()
    assert place.link.call("GET", "prepared") == "1"
    place.link.call("SET", "k:1", "x")
    records(place, 1)
    assert place.link.call("GET", "prepared") == "1"


def test_expired_keys_trigger(place):
    """`expired` comes with the key and without a value."""
    place.register(noting(), "k:*", eventTypes=["expired"])
    place.start()
    place.link.call("SET", "k:1", "x", "PX", 1)
    wait_for(lambda: place.link.call("EXISTS", "k:1") == 0)
    assert records(place, 1) == [{"key": "k:1", "value": None, "type": "none", "event": "expired"}]


def test_stream_key_is_none_where_there_is_no_stream(place):
    """`streamKey()` in a KeysReader's step."""
    source = """
from geartrain.runtime import streamKey
GearsBuilder("KeysReader").foreach(lambda _: execute("rpush", "out:seen", repr(streamKey()))).register("k:*")
"""
    place.client.execute(source, session="script")
    place.start()
    place.link.call("SET", "k:1", "x")
    assert records(place, 1) == [None]


def test_geartrains_own_keys_never_trigger(place):
    """A registration on all keys sees the user's keys only, though every worker writes to the registry."""
    place.register(noting(), "*", eventTypes=["set", "hset"])
    place.start()
    place.link.call("SET", "geartrain:mine", "x")
    place.link.call("HSET", "geartrain:{registry}:config", "f", "v")
    place.link.call("SET", "theirs", "x")
    assert [record["key"] for record in records(place, 1)] == ["theirs"]


def test_a_failure_is_counted_and_shown_and_the_next_event_is_executed(place):
    """Key events cannot be read again: they go on."""

    def fail_on_bad(record):
        if record["key"] == "k:bad":
            raise ValueError("bad key")
        execute("rpush", "out:seen", repr(record["key"]))

    registration = place.register(keys_reader().foreach(fail_on_bad), "k:*")
    place.start()
    for key in ("k:1", "k:bad", "k:2"):
        place.link.call("SET", key, "x")
    assert records(place, 2) == ["k:1", "k:2"]
    info = place.wait_info(registration, lambda info: info.triggered == 3)
    assert (info.succeeded, info.failed, info.status) == (2, 1, "active")
    assert "ValueError: bad key" in info.last_error
    assert "fail_on_bad" in place.client.show(registration).last_trace


def test_the_setting_of_the_server_is_completed_and_what_was_there_stays(everywhere):
    """Only what is needed is turned on."""
    place = everywhere
    place.link.call("CONFIG", "SET", "notify-keyspace-events", "Kx")
    place.register(noting(), "k:*", eventTypes=["set"])
    place.start()
    assert set(place.link.call("CONFIG", "GET", "notify-keyspace-events")[1]) == set("KEx$")


def test_a_user_who_may_not_configure_is_told_which_line_to_set(valkey, place):
    """The registration's last error names the setting; the worker goes on."""
    registration = place.register(noting(), "k:*")
    place.link.call("ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all", "-config", "+config|get")
    with Workplace(f"redis://worker:secret@127.0.0.1:{valkey.port}") as theirs:
        theirs.start()
        info = place.wait_info(registration, lambda info: info.last_error)
    assert "notify-keyspace-events AE" in info.last_error


def test_one_worker_at_a_time_takes_the_events_and_another_goes_on(place):
    """Each event is executed once; when the owner stops, the other one listens."""
    registration = place.register(noting(), "k:*")
    workers = {worker.id: worker for worker in (place.start(), place.start())}
    for number in range(10):
        place.link.call("SET", f"k:{number}", "x")
    assert len(records(place, 10)) == 10
    owner = place.client.show(registration).owner
    workers.pop(owner).stop()
    (other,) = workers
    wait_for(lambda: place.client.show(registration).owner == other)
    wait_for(lambda: workers[other].worker._events.ready and place.link.call("PUBSUB", "NUMPAT") == 1)
    place.link.call("SET", "k:again", "x")
    assert records(place, 11)[-1]["key"] == "k:again"
    place.wait_info(registration, lambda info: info.triggered == 11)


def test_new_streams_do_not_interrupt_the_events(place):
    """The connection that listens is not made again because a stream was found meanwhile."""
    with place.client.session("test"):
        noting().register("k:*")
        GearsBuilder("StreamReader").foreach(lambda _: execute("rpush", "out:streams", "x")).register("s:*")
    place.start()
    before = listening(place)
    place.add("s:1")
    place.seen(1, "out:streams")
    place.link.call("SET", "k:1", "x")
    records(place, 1)
    assert listening(place) == before
    assert len(before) == 1


def test_events_that_find_the_buffer_full_are_counted_as_dropped(place):
    """They are lost, and the statistics say how many."""

    def wait_at_the_gate(record):
        execute("brpoplpush", "out:gate", "out:gate", 20)
        execute("rpush", "out:seen", repr(record["key"]))

    registration = place.register(keys_reader().foreach(wait_at_the_gate), "k:*")
    place.start(prefetch=5)
    place.link.pipeline([("SET", f"k:{number}", "x") for number in range(50)])
    dropped = place.wait_info(registration, lambda info: info.dropped).dropped
    place.link.call("RPUSH", "out:gate", "open")
    info = place.wait_info(registration, lambda info: info.triggered + info.dropped == 50)
    assert info.dropped >= dropped
    assert len(records(place, info.triggered)) == info.triggered


def listening(place):
    """The ids of the connections that listen."""
    clients = place.link.call("CLIENT", "LIST").splitlines()
    return [line.split()[0] for line in clients if "name=geartrain:events" in line]


class Writing:
    """Sets `k:0`, `k:1`, ... all the while, and never so fast that a worker's buffer would be full. A context manager.

    Attributes:
        count: keys that have been set.
    """

    def __init__(self, place):
        self.count = 0
        self._place = place
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def _write(self):
        with Link(Endpoint(self._place.url)) as link:
            while not self._ended.is_set():
                link.pipeline([("SET", f"k:{self.count + number}", "x") for number in range(5)])
                self.count += 5
                wait_for(lambda: self.count - link.call("LLEN", "out:seen") < 500)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        self._thread.join()


def test_listeners_that_come_and_go_cost_the_others_nothing(everywhere):
    """One connection, changed over while events come: from some events to all and back, each comes once, in order."""
    place = everywhere
    base = keys_reader().foreach(lambda record: execute("rpush", "out:seen", record["key"]))
    registration = place.register(base, "k:*", eventTypes=["set"], readValue=False, session="base")
    worker = place.start()
    before = listening(place)
    others = [{"eventTypes": ["set", "del"]}, {}, {"eventTypes": ["hset"]}]
    with Writing(place) as writing:
        for turn in range(9):
            silent = keys_reader().foreach(lambda _: None)
            other = place.register(silent, "k:*", session="other", readValue=False, **others[turn % 3])
            wait_for(lambda other=other: place.client.show(other).owner == worker.id)
            wait_for(lambda: worker.worker._events.ready)
            begun = writing.count
            wait_for(lambda begun=begun: writing.count > begun + 20)
            place.client.unregister(other)
            wait_for(lambda: len(worker.worker._events._listeners) == 1)
    assert place.seen(writing.count, "out:seen") == [f"k:{number}" for number in range(writing.count)]
    assert place.wait_info(registration, lambda info: info.triggered == writing.count).dropped == 0
    assert listening(place) == before


def test_a_registration_that_comes_hears_what_comes_after_it_is_live(place):
    """Also one whose events nobody here listened to before, on the connection that there is."""
    place.register(noting(), "k:*", eventTypes=["set"], session="base")
    worker = place.start()
    before = listening(place)
    for event, command in (
        ("hset", ("HSET", "h", "f", "v")),
        ("lpush", ("LPUSH", "l", "v")),
        ("sadd", ("SADD", "e", "m")),
    ):
        note = keys_reader().foreach(lambda record: execute("rpush", "out:events", record["event"]))
        registration = place.register(note, "*", eventTypes=[event], session=event)
        wait_for(lambda registration=registration: registration in worker.listens_for)
        wait_for(lambda: worker.worker._events.ready)
        place.link.call(*command)
    assert place.seen(3, "out:events") == ["hset", "lpush", "sadd"]
    assert listening(place) == before


def test_upgrades_of_a_listener_cost_it_nothing(place):
    """New code, the same events: nothing is missed and nothing comes twice."""

    def submit():
        base = keys_reader().foreach(lambda record: execute("rpush", "out:seen", record["key"]))
        return place.register(base, "k:*", eventTypes=["set"], readValue=False)

    registration = submit()
    worker = place.start()
    versions = worker.code_versions(registration)
    with Writing(place) as writing:
        for _ in range(5):
            submit()
            wait_for(lambda versions=versions: worker.code_versions(registration) != versions)
            versions = worker.code_versions(registration)
    assert place.seen(writing.count, "out:seen") == [f"k:{number}" for number in range(writing.count)]


def test_a_worker_completes_the_setting_for_the_listeners_of_others_too(place):
    """So that two workers that start at the same time, each with one of the registrations, set the same."""
    elsewhere = place.register(noting(), "k:*", eventTypes=["hset"], session="other")
    place.link.call("SET", key_events_lease(elsewhere), "stranger")
    registration = place.register(noting(), "k:*", eventTypes=["set"])
    worker = place.begin()
    wait_for(lambda: place.client.show(registration).owner == worker.id)
    wait_for(lambda: set(place.link.call("CONFIG", "GET", "notify-keyspace-events")[1]) == set("E$h"))


def test_a_setting_that_somebody_takes_back_is_completed_again(place, monkeypatch):
    """Within some seconds, without a new connection."""
    monkeypatch.setattr("geartrain.worker.ear.CHECK_EVERY", 0.1)
    place.register(noting(), "k:*", eventTypes=["set"])
    place.start()
    before = listening(place)
    place.link.call("CONFIG", "SET", "notify-keyspace-events", "")
    wait_for(lambda: set(place.link.call("CONFIG", "GET", "notify-keyspace-events")[1]) == set("E$"))
    place.link.call("SET", "k:1", "x")
    assert [record["key"] for record in records(place, 1)] == ["k:1"]
    assert listening(place) == before
