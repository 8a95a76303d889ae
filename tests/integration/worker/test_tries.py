"""Owners that begin with a batch and end without committing it are counted, and after some their successor waits."""

from __future__ import annotations

import pytest

from geartrain import GearsBuilder, execute, keys
from support.waiting import wait_for

DEADLY = 9
"""Owners in a row that ended: the next one waits for 15 s at least, longer than these tests wait for anything."""


def noting():
    """Write down each record's field `a`."""
    return GearsBuilder("StreamReader").foreach(lambda record: execute("rpush", "seen", record["a"]))


def waiting():
    """Write down each record once there is something in `gate`."""

    def wait(record):
        execute("brpoplpush", "gate", "gate", 20)
        execute("rpush", "seen", record["a"])

    return GearsBuilder("StreamReader").foreach(wait)


def tries(place, registration, stream=b"s"):
    """The count that is kept."""
    return place.link.call("GET", keys.tries(registration, stream))


def test_an_owner_counts_until_its_first_commit(everywhere):
    """While the first batch runs; and not for what comes after it."""
    place = everywhere
    registration = place.register(waiting(), "s")
    place.add("s", "a", "1")
    place.start()
    wait_for(lambda: tries(place, registration) == "1")
    assert 0 < place.link.call("PTTL", keys.tries(registration, b"s")) <= 600_000
    place.link.call("RPUSH", "gate", "open")
    place.seen(1)
    wait_for(lambda: tries(place, registration) is None)
    place.add("s", "a", "2")
    place.seen(2)
    place.wait_done(registration, triggered=2)
    assert tries(place, registration) is None


def test_a_commit_forgets_those_who_ended_before(everywhere):
    """Whatever they ended of."""
    place = everywhere
    registration = place.register(noting(), "s")
    place.link.call("SET", keys.tries(registration, b"s"), 1)
    place.add("s", "a", "1")
    place.start()
    place.seen(1)
    wait_for(lambda: tries(place, registration) is None)


def test_an_owner_that_stops_in_good_order_takes_itself_out_of_the_count(everywhere):
    """It has not been ended by the batch; those before it may have been."""
    place = everywhere
    registration = place.register(noting(), "s", batch=10)
    place.add("s", "a", "waits for nine more")
    worker = place.start()
    assert tries(place, registration) == "1"
    worker.stop()
    assert tries(place, registration) is None
    place.link.call("SET", keys.tries(registration, b"s"), 1)
    worker = place.start()
    assert tries(place, registration) == "2"
    worker.stop()
    assert tries(place, registration) == "1"


def test_where_nothing_is_to_do_nothing_is_counted(everywhere):
    """A stream that is not there yet, and one that is done: an idle worker that is killed says nothing of them."""
    place = everywhere
    registration = place.register(noting(), "s")
    worker = place.start()
    assert tries(place, registration) is None
    place.add("s", "a", "1")
    place.seen(1)
    place.wait_done(registration)
    worker.stop()
    place.start()
    assert tries(place, registration) is None


def test_a_partition_whose_owners_end_waits_and_the_others_do_not(place):
    """What waits, why and how long is the registration's last error."""
    registration = place.register(noting(), "s:*")
    place.link.call("SET", keys.tries(registration, b"s:bad"), DEADLY)
    for stream in ("s:bad", "s:1", "s:2"):
        place.add(stream, "a", stream)
    place.start()
    assert sorted(place.seen(2)) == ["s:1", "s:2"]
    info = place.wait_info(registration, lambda info: info.last_error)
    assert f"s:bad: {DEADLY} workers in a row ended with the next batch and did not commit it" in info.last_error
    for number in range(10):
        place.add("s:bad", "a", "s:bad")
        place.add("s:1", "a", number)
    place.seen(12)
    assert "s:bad" not in place.link.call("LRANGE", "seen", 0, -1)


def test_new_code_does_not_wait(place):
    """It may be what mends it."""
    registration = place.register(noting(), "s")
    place.link.call("SET", keys.tries(registration, b"s"), DEADLY)
    place.add("s", "a", "1")
    place.start()
    place.wait_info(registration, lambda info: info.last_error)
    mended = GearsBuilder("StreamReader").foreach(lambda record: execute("rpush", "seen", f"mended {record['a']}"))
    assert place.register(mended, "s") == registration
    assert place.seen(1) == ["mended 1"]
    wait_for(lambda: tries(place, registration) is None)


def test_many_partitions_that_wait_are_one_trouble(place, caplog):
    """A line for each of a thousand streams would help nobody."""
    registration = place.register(noting(), "s:*")
    for number in range(20):
        stream = f"s:{number}"
        place.link.call("SET", keys.tries(registration, stream.encode()), DEADLY)
        place.add(stream, "a", "x")
    place.start()
    info = place.wait_info(registration, lambda info: info.last_error)
    assert info.last_error.endswith("(and 19 more of its streams)")
    assert sum("workers in a row" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize("how", ["unregister", "another script"])
def test_the_count_goes_away_with_its_registration(place, how):
    """Nothing is left of it."""
    registration = place.register(noting(), "s", batch=10)
    place.add("s", "a", "waits for nine more")
    place.start()
    assert tries(place, registration) == "1"
    if how == "unregister":
        place.client.unregister(registration)
    else:
        place.register(noting(), "other")
    wait_for(lambda: tries(place, registration) is None)
