"""What a worker holds in memory is bounded, over all its streams, and nothing stalls because of it."""

from __future__ import annotations

from geartrain import GearsBuilder, execute
from support.waiting import wait_for

LARGE = "x" * 1000


def behind_a_gate():
    """Write down each record of `s:...` once there is something in `gate`; those of other streams at once."""

    def wait(record):
        if record["wait"] == "yes":
            execute("brpoplpush", "gate", "gate", 20)
        execute("rpush", f"out:{record['stream']}", record["n"])

    return GearsBuilder("StreamReader").foreach(wait)


def fill(place, stream, count, wait="yes"):
    """Add so many entries of about a kilobyte."""
    fields = ("stream", stream, "wait", wait, "large", LARGE)
    place.link.pipeline([("XADD", stream, "*", *fields, "n", number) for number in range(count)])


def done(place, stream, count):
    """Whether all entries of a stream are executed, in order."""
    return place.link.call("LRANGE", f"out:{stream}", 0, -1) == [str(number) for number in range(count)]


def test_beyond_the_bound_only_streams_with_less_than_a_batch_are_read(place):
    """Where a buffer of 4000 entries would take all of them; in the end everything is executed."""
    streams = [f"s:{number}" for number in range(4)]
    for stream in streams:
        fill(place, stream, 1000)
    registration = place.register(behind_a_gate(), "s:*", batch=10)
    worker = place.start(buffer_memory=100_000, threads=2)
    wait_for(lambda: len(worker.buffered()) == 4 and all(count >= 10 for count in worker.buffered().values()))
    fill(place, "s:new", 1000)
    wait_for(lambda: worker.buffered().get(b"s:new", 0) >= 10, message="less than a batch is there: it is read")
    # What the first read of each brought, when nothing was known of sizes, and another batch or 64 KB.
    assert max(worker.buffered().values()) <= 200
    place.link.call("RPUSH", "gate", "open")
    place.wait_info(registration, lambda info: info.lag == 0 and info.records == 5000, timeout=30)
    assert all(done(place, stream, 1000) for stream in [*streams, "s:new"])


def test_streams_that_stand_still_do_not_hold_up_the_others(place):
    """They fill the memory; another one goes on, entry by entry, to its end."""
    for number in range(3):
        fill(place, f"s:{number}", 300)
    registration = place.register(behind_a_gate(), "s:*")
    worker = place.start(buffer_memory=50_000)
    wait_for(lambda: len(worker.buffered()) == 3 and all(worker.buffered().values()))
    fill(place, "s:free", 500, wait="no")
    wait_for(lambda: done(place, "s:free", 500))
    assert place.link.call("EXISTS", "out:s:0", "out:s:1", "out:s:2") == 0
    place.link.call("RPUSH", "gate", "open")
    place.wait_info(registration, lambda info: info.lag == 0 and info.records == 1400, timeout=30)


def test_a_batch_that_takes_more_than_the_bound_is_executed(place):
    """The bound yields: a batch must fit."""
    fill(place, "s:1", 400, wait="no")
    registration = place.register(behind_a_gate(), "s:*", batch=200)
    place.start(buffer_memory=1000)
    place.wait_info(registration, lambda info: info.lag == 0 and info.records == 400)
    assert done(place, "s:1", 400)


def test_one_stream_of_two_registrations_is_read_on_for_the_fast_one(place):
    """The slow one's buffer is full of it; what it does not take now it reads later, and gets nothing twice."""

    def slow(record):
        execute("brpoplpush", "gate", "gate", 20)
        execute("rpush", "slow", record["n"])

    fill(place, "s:1", 600, wait="no")
    with place.client.session("test"):
        behind_a_gate().register("s:1", name="fast")
        GearsBuilder("StreamReader").foreach(slow).register("s:1", name="slow")
    place.start(buffer_memory=20_000)
    wait_for(lambda: done(place, "s:1", 600))
    place.link.call("RPUSH", "gate", "open")
    place.wait_info("slow", lambda info: info.lag == 0 and info.records == 600, timeout=30)
    assert place.seen(600, "slow") == [str(number) for number in range(600)]
