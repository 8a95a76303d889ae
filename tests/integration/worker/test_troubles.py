"""Streams that are no streams, are deleted, made again or trimmed; groups and connections that strangers end."""

from __future__ import annotations

import pytest

from geartrain import CommandError, GearsBuilder, execute
from support.waiting import wait_for
from support.working import Workplace

SINCE_7 = ("valkey-9.1", "redis-8.2")
"""Flavours whose groups keep counts: XINFO GROUPS has `lag`."""


@pytest.fixture(autouse=True)
def _again_soon(monkeypatch):
    """What cannot be opened or read is tried again within a fifth of a second."""
    monkeypatch.setattr("geartrain.worker.ownership._REFUSED_AGAIN", 0.2)
    monkeypatch.setattr("geartrain.worker.reading.MISFIT_RETRY", 0.2)
    monkeypatch.setattr("geartrain.worker.committer._REFUSED_AGAIN", 0.2)


def noting():
    """Write down each record's field `a`."""
    return GearsBuilder("StreamReader").foreach(lambda record: execute("rpush", "seen", record["a"]))


def lag(place, stream, registration):
    """What the server says of the registration's group."""
    return place.groups(stream)[f"geartrain:{registration}"]["lag"]


def test_a_key_that_is_no_stream_is_shown_and_does_not_stop_the_others(everywhere):
    """The last error names the key and its type; when a stream takes its place, that is read."""
    place = everywhere
    place.link.call("SET", "mine", "text")
    registration = place.register(noting(), "mine")
    place.register(noting(), "other", session="other")
    place.start()
    place.add("other", "a", "other")
    assert place.seen(1) == ["other"]
    info = place.wait_info(registration, lambda info: info.last_error)
    assert info.last_error == "mine: the key holds a string, not a stream"
    place.link.call("DEL", "mine")
    place.add("mine", "a", "mine")
    assert place.seen(2) == ["other", "mine"]


def test_a_stream_that_becomes_another_type_later_does_not_stop_the_others(everywhere):
    """The others are read on, the trouble is shown, and when it is a stream again its entries are executed."""
    place = everywhere
    registration = place.register(noting(), "mine")
    place.register(noting(), "other:*", session="other")
    place.add("mine", "a", "1")
    place.add("other:1", "a", "2")
    worker = place.start(lease_ttl=0.9)
    place.seen(2)
    place.wait_done(registration)
    place.link.transaction([("DEL", "mine"), ("RPUSH", "mine", "x")])
    # Named in a blocking read, it fails the whole read, as soon as one is made.
    for number in range(3, 7):
        place.add("other:1", "a", number)
        place.seen(number)
    info = place.wait_info(registration, lambda info: info.last_error)
    assert info.last_error.startswith("mine: ")
    place.link.call("DEL", "mine")
    place.add("mine", "a", "7")
    assert place.seen(7)[6] == "7"
    place.wait_done(registration, triggered=2)
    assert worker.running


def test_a_stream_that_becomes_another_type_before_the_commit_is_given_up(place):
    """The offset has no place to go; the worker neither hangs nor tries for ever."""

    def replace(record):
        execute("del", "mine")
        execute("set", "mine", "text")
        execute("rpush", "seen", record["a"])

    registration = place.register(GearsBuilder("StreamReader").foreach(replace), "mine")
    place.add("mine", "a", "1")
    worker = place.start()
    assert place.seen(1) == ["1"]
    # Who reads may find it too, and say so in the server's words.
    text = "mine: the key holds a string, not a stream"
    assert place.wait_info(registration, lambda info: info.last_error == text)
    worker.stop()


def test_a_deleted_stream_that_is_made_again_is_read_from_its_beginning(everywhere):
    """Also where its ids are lower than those that were executed before."""
    place = everywhere
    registration = place.register(noting(), "s")
    place.add("s", "a", "old", entry_id="500-0")
    place.start(lease_ttl=0.9)
    place.seen(1)
    place.wait_done(registration)
    place.link.call("DEL", "s")
    place.add("s", "a", "new", entry_id="5-0")
    place.add("s", "a", "newer", entry_id="6-0")
    assert place.seen(3) == ["old", "new", "newer"]
    place.wait_done(registration, triggered=3)
    assert place.groups("s")[f"geartrain:{registration}"]["last-delivered-id"] == "6-0"


def test_a_deleted_stream_that_is_made_again_with_new_ids_goes_on(everywhere):
    """Deleting it loses what was in it, nothing that comes after."""
    place = everywhere
    registration = place.register(noting(), "s:*")
    place.add("s:1", "a", "old")
    place.start()
    place.seen(1)
    place.link.call("DEL", "s:1")
    place.add("s:1", "a", "new")
    assert place.seen(2) == ["old", "new"]
    info = place.wait_done(registration, triggered=2)
    assert info.last_error is None


def test_a_group_that_a_stranger_destroys_is_made_again_where_it_was(everywhere):
    """Nothing is executed twice, with or without entries that come meanwhile."""
    place = everywhere
    registration = place.register(noting(), "s")
    last = place.add("s", "a", "1")
    place.start(lease_ttl=0.9)
    place.seen(1)
    place.wait_done(registration)
    place.link.call("XGROUP", "DESTROY", "s", f"geartrain:{registration}")
    wait_for(lambda: place.groups("s"))
    assert place.groups("s")[f"geartrain:{registration}"]["last-delivered-id"] == last
    place.link.call("XGROUP", "DESTROY", "s", f"geartrain:{registration}")
    place.add("s", "a", "2")
    assert place.seen(2) == ["1", "2"]
    place.wait_done(registration, triggered=2)


@pytest.mark.servers(*SINCE_7)
def test_the_servers_lag_is_what_is_not_committed_yet(everywhere):
    """XINFO GROUPS counts down to 0, batch by batch."""
    place = everywhere
    registration = place.register(noting(), "s", batch=4)
    for number in range(10):
        place.add("s", "a", number)
    place.start()
    place.seen(8)
    wait_for(lambda: lag(place, "s", registration) == 2)
    place.add("s", "a", 10)
    place.add("s", "a", 11)
    place.seen(12)
    wait_for(lambda: lag(place, "s", registration) == 0)


@pytest.mark.servers(*SINCE_7)
@pytest.mark.parametrize("how", ["XTRIM before", "XTRIM between", "XDEL", "fromId", "new"])
def test_the_servers_lag_is_0_when_all_is_done(everywhere, how):
    """Also where entries were trimmed or deleted unread, before or between, or left out."""
    place = everywhere
    options = {"fromId": "6-0"} if how == "fromId" else {}
    registration = place.register(noting(), "s", **options)
    if how == "new":
        place.start()
    for number in range(1, 11):
        place.add("s", "a", number, entry_id=f"{number}-0")
    if how == "XTRIM before":
        place.link.call("XTRIM", "s", "MAXLEN", 3)
    elif how == "XDEL":
        place.link.call("XDEL", "s", "2-0", "5-0", "9-0")
    elif how == "XTRIM between":
        worker = place.start()
        place.wait_done(registration, triggered=10)
        worker.stop()
        for number in range(11, 21):
            place.add("s", "a", number, entry_id=f"{number}-0")
        place.link.call("XTRIM", "s", "MAXLEN", 4)
    if how != "new":
        place.start()
    count = {"XTRIM before": 3, "XTRIM between": 14, "XDEL": 7, "fromId": 5, "new": 10}[how]
    place.wait_done(registration, triggered=count)
    assert len(place.seen(count)) == count
    wait_for(lambda: lag(place, "s", registration) == 0)
    # And it counts from there.
    place.client.pause(registration)
    wait_for(lambda: not any(item.owner for item in place.client.show(registration).partitions))
    place.add("s", "a", "x")
    place.add("s", "a", "y")
    assert lag(place, "s", registration) == 2


@pytest.mark.servers("redis-6.2")
def test_where_the_server_keeps_no_counts_the_lag_is_counted(everywhere):
    """Redis 6.2: `ls` shows what is behind the offset."""
    place = everywhere
    registration = place.register(noting(), "s", batch=4)
    for number in range(10):
        place.add("s", "a", number)
    place.start()
    place.seen(8)
    assert place.wait_info(registration, lambda info: info.lag == 2).lag == 2


def test_a_server_that_forgets_its_scripts_is_given_them_again(place):
    """SCRIPT FLUSH costs nothing but a round trip."""
    registration = place.register(noting(), "s")
    place.start()
    for number in range(1, 6):
        place.link.call("SCRIPT", "FLUSH")
        place.add("s", "a", number)
        place.seen(number)
    assert place.wait_done(registration, triggered=5).failed == 0


def test_connections_that_are_ended_are_made_again(place):
    """Every connection of the worker, several times over: every entry is executed, and committed."""
    registration = place.register(noting(), "s")
    worker = place.start(lease_ttl=2)
    for number in range(1, 4):
        place.link.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        place.add("s", "a", number)
        wait_for(lambda number=number: str(number) in place.link.call("LRANGE", "seen", 0, -1))
    place.client.close()
    info = place.wait_done(registration)
    assert (info.failed, info.status) == (0, "active")
    assert worker.running


def test_key_events_are_heard_again_after_the_connection_was_lost(place):
    """What happened in between is lost (best effort), what comes after is not."""
    builder = GearsBuilder("KeysReader").foreach(lambda record: execute("rpush", "seen", record["key"]))
    place.register(builder, "k:*", eventTypes=["set"])
    worker = place.start()
    place.link.call("CLIENT", "KILL", "TYPE", "pubsub")
    wait_for(lambda: place.link.call("PUBSUB", "NUMSUB", "__keyevent@0__:set")[1] == 1)
    wait_for(lambda: worker.worker._events.ready)
    place.link.call("SET", "k:1", "x")
    assert place.seen(1) == ["k:1"]


def test_an_offset_that_the_server_refuses_to_move_is_moved_later(valkey, place):
    """Where the worker may not (any more), nothing is executed twice meanwhile, and when it may, the offset follows."""
    place.link.call("ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all")
    registration = place.register(noting(), "s")
    with Workplace(f"redis://worker:secret@127.0.0.1:{valkey.port}") as theirs:
        theirs.start()
        place.add("s", "a", "1")
        place.wait_done(registration)
        place.link.call("ACL", "SETUSER", "worker", "-xgroup")
        last = place.add("s", "a", "2")
        wait_for(lambda: len(place.link.call("ACL", "LOG")) > 0)
        assert place.seen(2) == ["1", "2"]
        assert place.info(registration).lag == 1
        place.link.call("ACL", "SETUSER", "worker", "+xgroup")
        wait_for(lambda: place.groups("s")[f"geartrain:{registration}"]["last-delivered-id"] == last)
        assert place.link.call("LLEN", "seen") == 2


def test_a_user_who_may_not_use_client_works(valkey, place):
    """Some managed servers refuse CLIENT altogether: names of connections are a courtesy, and nothing hangs on them."""
    place.link.call("ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all", "-client")
    with Workplace(f"redis://worker:secret@127.0.0.1:{valkey.port}") as theirs:
        with pytest.raises(CommandError, match="NOPERM"):
            theirs.link.call("CLIENT", "SETNAME", "x")
        with theirs.client.session("test"):
            noting().register("s:*")
            builder = GearsBuilder("KeysReader").foreach(lambda record: execute("rpush", "keys", record["key"]))
            builder.register("k:*", eventTypes=["set"])
        worker = theirs.start()
        theirs.add("s:1", "a", "1")
        theirs.link.call("SET", "k:1", "x")
        assert theirs.seen(1) == ["1"]
        assert theirs.seen(1, "keys") == ["k:1"]
        for info in theirs.client.registrations():
            assert theirs.wait_done(info.id).last_error is None if info.lag is not None else info.last_error is None
        worker.stop()


def test_many_streams_are_all_read(place):
    """A thousand streams with a few entries each, and one with many: nobody is forgotten."""
    registration = place.register(noting(), "s:*", batch=5, duration=20)
    place.link.pipeline([("XADD", f"s:{n}", "*", "a", m) for n in range(1000) for m in range(3)])
    place.link.pipeline([("XADD", "s:busy", "*", "a", m) for m in range(3000)])
    place.start()
    info = place.wait_info(registration, lambda info: info.records >= 6000 and info.lag == 0, timeout=30)
    assert info.records == 6000


def test_entries_that_come_late_to_many_streams_are_read_soon(place):
    """When all are idle, one entry in any of them is executed without waiting for the others."""
    place.register(noting(), "s:*")
    place.link.pipeline([("XADD", f"s:{n}", "*", "a", "first") for n in range(200)])
    place.start(block=5)
    place.seen(200)
    for number in range(20):
        place.add(f"s:{number * 7}", "a", number)
    assert set(place.seen(220)[200:]) == {str(number) for number in range(20)}
