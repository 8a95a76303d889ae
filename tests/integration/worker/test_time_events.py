"""`registerTimeEvent`: a function that is called once in each interval, by one of all workers."""

from __future__ import annotations

import itertools
import threading

import pytest

from geartrain import Dialect, execute, registerTimeEvent
from support.waiting import wait_for
from support.working import SEEN


def tick():
    """Note the server's time, in milliseconds."""
    seconds, microseconds = execute("TIME")
    execute("RPUSH", SEEN, int(seconds) * 1000 + int(microseconds) // 1000)


def register(place, interval=0.2, callback=tick, dialect=Dialect.GEARTRAIN):
    """A session of one time event; its id."""
    with place.client.session("test", dialect) as outcome:
        registerTimeEvent(interval, callback)
    return outcome.registered[0]


def timers():
    """The threads that wait for the next call."""
    return [thread for thread in threading.enumerate() if thread.name == "geartrain-timer"]


def test_one_of_all_workers_calls_in_each_interval(place):
    """Two calls are apart, by the server's clock (which a busy machine reads late); each is counted."""
    name = register(place)
    workers = [place.begin() for _ in range(3)]
    for worker in workers:
        worker.wait_ready()
    times = [int(item) for item in place.seen(6)]
    assert min(later - sooner for sooner, later in itertools.pairwise(times)) >= 150
    place.wait_info(name, lambda info: info.triggered >= 6)
    for worker in workers:
        worker.stop()
    info = place.info(name)
    assert info.triggered == info.succeeded == place.link.call("LLEN", SEEN)


def test_another_worker_goes_on_when_one_ends(place):
    """Nothing has to expire but the interval."""
    register(place)
    first = place.start()
    before = len(place.seen(2))
    place.start()
    first.stop()
    assert len(place.seen(before + 3)) >= before + 3


def test_a_call_that_fails_is_counted_and_the_next_one_comes(place):
    """The error is the registration's last error."""

    def fail():
        execute("RPUSH", SEEN, "x")
        raise ValueError("no luck")

    name = register(place, callback=fail)
    place.start()
    place.seen(2)
    info = place.wait_info(name, lambda info: info.failed >= 2)
    assert "no luck" in info.last_error


@pytest.mark.parametrize("end", ["pause", "unregister"])
def test_a_time_event_ends_with_its_registration(place, end):
    """Paused or unregistered, no further call is made; resumed, it goes on."""
    name = register(place, dialect=Dialect.REDISGEARS_1_2)
    place.start()
    place.seen(1)
    getattr(place.client, end)(name)
    wait_for(lambda: not timers())
    count = place.link.call("LLEN", SEEN)
    wait_for(lambda: place.link.call("PTTL", f"geartrain:{{registry}}:timer:{name}") < 0)
    assert place.link.call("LLEN", SEEN) == count
    if end == "pause":
        place.client.resume(name)
        place.seen(count + 1)


def test_a_shorter_interval_counts_at_once(place):
    """An upgrade of the registration of that name does not wait for the old interval's end."""
    place.link.call("SET", "geartrain:{registry}:timer:test/TimeEvent:0.2", "somebody", "PX", 600_000)
    register(place)
    place.start()
    place.seen(2)
