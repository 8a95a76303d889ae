"""What `StreamReader.register` takes beyond the specification, and the format of its records."""

from __future__ import annotations

from geartrain import Dialect, GearsBuilder, execute
from geartrain.readers.entries import id_parts
from support.waiting import wait_for
from support.working import Workplace


def streams():
    """A StreamReader."""
    return GearsBuilder("StreamReader")


def server_ms(place):
    """The server's clock, as in the ids that it makes."""
    seconds, microseconds = place.link.call("TIME")
    return int(seconds) * 1000 + int(microseconds) // 1000


def noting():
    """Write down each record's field `a`."""
    return streams().foreach(lambda record: execute("rpush", "seen", record["a"]))


def test_from_id_is_the_first_entry_that_is_read(everywhere):
    """`fromId='5-0'` reads 5-0 and what follows."""
    place = everywhere
    for number in range(1, 8):
        place.add("s", "a", number, entry_id=f"{number}-0")
    registration = place.register(noting(), "s", fromId="5-0")
    place.start()
    assert place.seen(3) == ["5", "6", "7"]
    place.wait_done(registration, triggered=3)


def test_from_id_counts_within_a_millisecond(place):
    """`fromId='5-2'` leaves 5-1 out; an id without its second part means `-0`."""
    for entry_id in ("5-0", "5-1", "5-2", "6-0"):
        place.add("s", "a", entry_id, entry_id=entry_id)
    with place.client.session("test"):
        noting().register("s", fromId="5-2")
        streams().foreach(lambda record: execute("rpush", "other", record["a"])).register("s", fromId="6")
    place.start()
    assert place.seen(2) == ["5-2", "6-0"]
    assert place.seen(1, "other") == ["6-0"]


def test_from_id_dollar_reads_what_comes_after_the_registration_is_live(everywhere):
    """`fromId='$'` leaves out what is there already."""
    place = everywhere
    place.add("s", "a", "old")
    registration = place.register(noting(), "s", fromId="$")
    place.start()
    place.add("s", "a", "new")
    assert place.seen(1) == ["new"]
    place.wait_done(registration)


def test_from_id_dollar_reads_what_comes_between_the_registration_and_the_worker(everywhere):
    """However late the first worker starts."""
    place = everywhere
    last = place.add("s", "a", "old")
    wait_for(lambda: server_ms(place) > id_parts(last)[0])
    registration = place.register(noting(), "s", fromId="$")
    place.add("s", "a", "between")
    place.start()
    place.add("s", "a", "after")
    assert place.seen(2) == ["between", "after"]
    place.wait_done(registration, triggered=2)


def test_from_id_dollar_counts_from_the_first_registration_not_from_an_upgrade(everywhere):
    """A session that is submitted again before there was a worker leaves nothing out."""
    place = everywhere
    last = place.add("s:1", "a", "old")
    wait_for(lambda: server_ms(place) > id_parts(last)[0])
    registration = place.register(noting(), "s:*", fromId="$")
    last = place.add("s:1", "a", "1")
    wait_for(lambda: server_ms(place) > id_parts(last)[0])
    place.register(noting(), "s:*", fromId="$", batch=2, duration=10)
    place.add("s:1", "a", "2")
    place.start()
    assert place.seen(2) == ["1", "2"]
    place.wait_done(registration)


def test_from_id_dollar_counts_anew_once_the_registration_was_removed(place):
    """What came while there was none is left out."""
    place.client.unregister(place.register(noting(), "s", fromId="$"))
    last = place.add("s", "a", "while there was none")
    wait_for(lambda: server_ms(place) > id_parts(last)[0])
    place.register(noting(), "s", fromId="$")
    place.add("s", "a", "new")
    place.start()
    assert place.seen(1) == ["new"]


def test_from_id_dollar_holds_for_a_worker_that_takes_over_before_the_first_commit(place):
    """The first one begins with a stream that is made while it is there, and is gone before it has committed."""
    registration = place.register(noting(), "s:*", fromId="$", batch=3)
    first = place.start()
    place.add("s:1", "a", "1")
    wait_for(lambda: place.groups("s:1"))
    place.add("s:1", "a", "2")
    first.stop()
    place.add("s:1", "a", "3")
    place.start()
    assert place.seen(3) == ["1", "2", "3"]
    place.wait_done(registration)


def test_from_id_dollar_reads_all_of_a_stream_that_comes_later(place):
    """Where there is no stream yet, everything in it will be new."""
    place.register(noting(), "s", fromId="$")
    place.start()
    place.add("s", "a", "first")
    assert place.seen(1) == ["first"]


def test_from_id_dollar_with_a_pattern_reads_all_of_a_stream_that_is_made_later(place):
    """A stream that is found only after it has got entries: none of them was there at the registration."""
    place.add("s:old", "a", "before")
    registration = place.register(noting(), "s:*", fromId="$")
    for number in range(4):
        place.add("s:new", "a", number)
    place.add("s:old", "a", "after")
    place.start()
    assert sorted(place.seen(5)) == ["0", "1", "2", "3", "after"]
    place.wait_done(registration, triggered=5)


def test_from_id_counts_only_the_first_time(place):
    """Once there is an offset, the next worker goes on from there."""
    registration = place.register(noting(), "s", fromId="2-0")
    for number in range(1, 4):
        place.add("s", "a", number, entry_id=f"{number}-0")
    worker = place.start()
    place.wait_done(registration, triggered=2)
    worker.stop()
    place.add("s", "a", 4, entry_id="4-0")
    place.start()
    assert place.seen(3) == ["2", "3", "4"]


def test_trim_stream_deletes_what_is_done(everywhere):
    """With `trimStream=True` the stream is empty when everything is committed, and the lag is 0."""
    place = everywhere
    registration = place.register(noting(), "s", trimStream=True)
    for number in range(5):
        place.add("s", "a", number)
    place.start()
    wait_for(lambda: place.link.call("XLEN", "s") == 0)
    assert place.seen(5) == ["0", "1", "2", "3", "4"]
    place.wait_done(registration, triggered=5)


def test_trim_stream_keeps_what_another_group_has_not_read(everywhere):
    """Only what every consumer group has passed is deleted."""
    place = everywhere
    ids = [place.add("s", "a", number) for number in range(5)]
    place.link.call("XGROUP", "CREATE", "s", "others", "0-0")
    registration = place.register(noting(), "s", trimStream=True)
    place.start()
    place.wait_done(registration, triggered=5)
    assert place.link.call("XLEN", "s") == 5
    place.link.call("XREADGROUP", "GROUP", "others", "me", "COUNT", 2, "NOACK", "STREAMS", "s", ">")
    last = place.add("s", "a", 5)
    wait_for(lambda: [entry for entry, _ in place.link.call("XRANGE", "s", "-", "+")] == [*ids[2:], last])


def test_trim_stream_keeps_what_another_group_has_not_acknowledged(everywhere):
    """An entry that was delivered to a consumer of another group stays until it is acknowledged."""
    place = everywhere
    ids = [place.add("s", "a", number) for number in range(4)]
    place.link.call("XGROUP", "CREATE", "s", "others", "0-0")
    place.link.call("XREADGROUP", "GROUP", "others", "me", "COUNT", 4, "STREAMS", "s", ">")
    place.link.call("XACK", "s", "others", ids[0], ids[2])
    registration = place.register(noting(), "s", trimStream=True)
    place.start()
    place.wait_done(registration, triggered=4)
    assert [entry for entry, _ in place.link.call("XRANGE", "s", "-", "+")] == ids[1:]


def test_trim_stream_of_one_registration_waits_for_the_other(place):
    """Two registrations on one stream: the slow one still gets everything."""

    def wait_at_the_gate(record):
        execute("brpoplpush", "gate", "gate", 20)
        execute("rpush", "slow", record["a"])

    with place.client.session("test"):
        noting().register("s", trimStream=True)
        streams().foreach(wait_at_the_gate).register("s", trimStream=True)
    for number in range(5):
        place.add("s", "a", number)
    place.start()
    place.seen(5)
    place.link.call("RPUSH", "gate", "open")
    assert place.seen(5, "slow") == ["0", "1", "2", "3", "4"]
    wait_for(lambda: place.link.call("XLEN", "s") == 0)


def test_after_max_retries_the_registration_is_aborted(everywhere):
    """`maxRetries=2`: three tries, then the status is `aborted`, with the count of each."""
    place = everywhere
    builder = streams().foreach(lambda _: 1 / 0 if execute("incr", "tries") else None)
    registration = place.register(builder, "s", onFailedRetryInterval=0.01, maxRetries=2)
    place.add("s")
    place.start()
    info = place.wait_info(registration, lambda info: info.status == "aborted" and info.aborted)
    assert place.link.call("GET", "tries") == "3"
    assert (info.triggered, info.succeeded, info.failed, info.aborted, info.retried) == (1, 0, 1, 1, 2)
    assert info.lag == 1


def test_max_retries_counts_for_each_batch(place):
    """A batch that succeeds gives the next one all its tries."""

    def fail_once_each(record):
        if execute("incr", f"tries:{record['a']}") == 1:
            raise ValueError("first try")
        execute("rpush", "seen", record["a"])

    registration = place.register(streams().foreach(fail_once_each), "s", onFailedRetryInterval=0, maxRetries=1)
    for number in range(4):
        place.add("s", "a", number)
    place.start()
    assert place.seen(4) == ["0", "1", "2", "3"]
    info = place.wait_done(registration, triggered=4)
    assert (info.status, info.retried, info.failed) == ("active", 4, 0)


def test_a_registration_has_the_name_that_it_is_given(place):
    """`name=` is the id, and the group on the stream is named after it."""
    registration = place.register(noting(), "s", name="shop.orders")
    assert registration == "shop.orders"
    place.add("s")
    place.start()
    place.wait_done(registration)
    assert list(place.groups("s")) == ["geartrain:shop.orders"]


def test_two_registrations_on_one_stream_have_a_group_each(place):
    """Both get every entry, at their own pace."""
    with place.client.session("test"):
        noting().register("s")
        streams().count().foreach(lambda size: execute("rpush", "sizes", size)).register("s", batch=4)
    for number in range(4):
        place.add("s", "a", number)
    place.start()
    assert place.seen(4) == ["0", "1", "2", "3"]
    assert place.seen(1, "sizes") == ["4"]
    wait_for(lambda: len(place.groups("s")) == 2)


def test_records_are_the_entrys_fields_and_its_id(everywhere):
    """A plain dict; a field named `streamId` gives way to the id, and of a field that occurs twice the last counts."""
    place = everywhere
    place.register(streams().foreach(lambda record: execute("rpush", "seen", repr(record))), "s")
    entry_id = place.add("s", "a", "1", "streamId", "mine", "b", "", "a", "2")
    place.start()
    record = eval(place.seen(1)[0])
    assert record == {"streamId": entry_id, "a": "2", "b": ""}


def test_records_of_one_batch_may_have_different_fields(place):
    """Each entry's record has that entry's fields."""
    place.register(streams().foreach(lambda record: execute("rpush", "seen", len(record))), "s", batch=3)
    place.add("s", "a", "1")
    place.add("s", "a", "1", "b", "2", "c", "3")
    place.add("s", "a", "1", "b", "2")
    place.start()
    assert place.seen(3) == ["2", "4", "3"]


def test_all_records_of_an_execution_come_from_one_stream(everywhere):
    """Batches are formed for each stream by itself, and `streamKey()` names it."""
    place = everywhere
    source = """
from geartrain.runtime import streamKey

def note(records):
    execute("rpush", "seen", f"{streamKey()} {','.join(r['a'] for r in records)}")

GearsBuilder("StreamReader").accumulate(lambda a, r: [*(a or []), r]).foreach(note).register("s:*", batch=2)
"""
    place.client.execute(source, session="script")
    for number in range(2):
        for stream in ("s:1", "s:2", "s:3"):
            place.add(stream, "a", f"{stream}/{number}")
    place.start()
    assert sorted(place.seen(3)) == [f"s:{n} s:{n}/0,s:{n}/1" for n in (1, 2, 3)]


def test_the_dialect_of_redisgears_has_its_records_and_defaults(everywhere):
    """`{'key', 'id', 'value': {...}}`; the stream is trimmed, and a failure does not stop it."""
    place = everywhere
    builder = streams().foreach(
        lambda record: execute("rpush", "seen", repr(record) if record["value"]["a"] != "bad" else 1 / 0)
    )
    registration = place.register(builder, "s", dialect=Dialect.REDISGEARS_1_2)
    ids = [place.add("s", "a", value) for value in ("1", "bad", "2")]
    place.start()
    expected = [{"key": "s", "id": ids[at], "value": {"a": value}} for at, value in ((0, "1"), (2, "2"))]
    assert [eval(text) for text in place.seen(2)] == expected
    info = place.wait_done(registration, triggered=3)
    assert (info.succeeded, info.failed, info.status) == (2, 1, "active")
    wait_for(lambda: place.link.call("XLEN", "s") == 0)


def test_order_within_a_stream_is_kept(place):
    """2000 entries of four streams, four threads, batches of 7: each stream's are executed in order, once."""
    builder = streams().foreach(lambda record: execute("rpush", f"out:{record['s']}", record["n"]))
    registration = place.register(builder, "in:*", batch=7, duration=50)
    place.link.pipeline([("XADD", f"in:{n % 4}", "*", "s", n % 4, "n", n) for n in range(2000)])
    place.start()
    place.wait_info(registration, lambda info: info.lag == 0 and info.records == 2000, timeout=20)
    for stream in range(4):
        assert place.seen(500, f"out:{stream}") == [str(n) for n in range(2000) if n % 4 == stream]


def test_a_worker_on_another_database_sees_only_its_own(valkey):
    """The database that the URL selects is the one that is read and written."""
    with Workplace(f"{valkey.url}/3") as place, Workplace(valkey.url) as other:
        place.register(noting(), "s")
        place.start()
        other.add("s", "a", "database 0")
        place.add("s", "a", "database 3")
        assert place.seen(1) == ["database 3"]
        assert other.link.call("KEYS", "*") == ["s"]
