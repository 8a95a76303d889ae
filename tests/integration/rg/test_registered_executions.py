"""Executions of registrations in the dialect redisgears-1.2, as the registry keeps them."""

from __future__ import annotations

import time

import hiredis
import pytest

from geartrain import Dialect, GearsBuilder, createFuture, execute, flat_error, keys, setFutureResults
from geartrain.registry import Store
from geartrain.registry.executions import Executions, State
from geartrain.worker.recorder import Recorder
from support.waiting import wait_for
from support.working import until_released

GEARS = Dialect.REDISGEARS_1_2


def streams():
    """A pipeline over streams."""
    return GearsBuilder("StreamReader")


def parsed(blob):
    """What a client makes of results or errors."""
    reader = hiredis.Reader(encoding="utf-8")
    reader.feed(blob)
    return reader.gets()


def kept(place, count, status=State.DONE):
    """Wait until so many executions of a status are kept; all of them."""
    executions = Executions(place.link)

    def found():
        items = [item for item in executions.all() if item.status is status]
        return items if len(items) >= count else None

    return wait_for(found)


def test_an_execution_is_kept_with_its_results(everywhere):
    """As soon as nothing else is to be done; the plan names the steps."""
    place = everywhere
    name = place.register(streams().map(lambda r: r["value"]["a"]), "s", dialect=GEARS)
    place.start()
    place.add("s", "a", "x")
    (item,) = kept(place, 1)
    assert (item.registration, item.session, item.results, item.errors) == (name, "test", 1, 0)
    assert item.id.startswith("0" * 40 + "-")
    assert abs(item.started - time.time()) < 60
    assert item.steps[0].type == "map"
    given = Executions(place.link).results(item.id)
    assert (parsed(given.results), parsed(given.errors)) == (["x"], [])


def test_a_failed_one_is_kept_with_its_errors(place):
    """Done, as RedisGears has it; the policy decides about the batch."""
    name = place.register(streams().foreach(lambda _: 1 / 0), "s", dialect=GEARS)
    place.start()
    place.add("s")
    (item,) = kept(place, 1)
    assert (item.results, item.errors) == (0, 1)
    assert "ZeroDivisionError" in parsed(Executions(place.link).results(item.id).errors)[0]
    place.wait_info(name, lambda info: info.failed == 1)


def test_executions_of_the_native_dialect_are_not_kept(place):
    """Not even a number is used up."""
    name = place.register(streams().foreach(lambda _: None), "s")
    place.start()
    place.add("s")
    place.wait_done(name)
    assert Executions(place.link).ids() == []
    assert place.link.call("GET", keys.SEQUENCE) is None


def test_only_the_last_ones_are_kept(place):
    """MaxExecutionsPerRegistration, as it is set now; they are in order."""
    place.link.call("HSET", keys.CONFIG, "MaxExecutionsPerRegistration", 5)
    name = place.register(streams().map(lambda r: r["value"]["a"]), "s", dialect=GEARS)
    for number in range(300):
        place.add("s", "a", str(number))
    place.start()
    place.wait_done(name, 300)
    executions = Executions(place.link)

    def last():
        found = [executions.results(item) for item in executions.ids()]
        return [parsed(item.results) for item in found if item] == [[str(number)] for number in range(295, 300)]

    wait_for(last)


def test_a_batch_is_one_execution(place):
    """With the results of all its records."""
    name = place.register(streams().map(lambda r: r["value"]["a"]), "s", batch=3, dialect=GEARS)
    place.start()
    for number in range(6):
        place.add("s", "a", str(number))
    place.wait_done(name, 2)
    ids = [item.id for item in kept(place, 2)]
    assert [parsed(Executions(place.link).results(item).results) for item in ids] == [
        ["0", "1", "2"],
        ["3", "4", "5"],
    ]


def wait_for_release(_record):
    """A step that goes on until a key is there."""
    until_released()


def test_one_that_takes_long_is_shown_while_it_runs(place):
    """And ends under the same id."""
    place.register(streams().foreach(wait_for_release), "s", dialect=GEARS)
    place.start()
    place.add("s")
    (running,) = kept(place, 1, State.RUNNING)
    place.link.call("SET", "release", 1)
    (done,) = kept(place, 1)
    assert done.id == running.id
    assert done.duration_us > 100_000
    assert done.owner.startswith("control:")


@pytest.fixture
def recorders(monkeypatch):
    """The recorders of all workers that start."""
    made = []
    init = Recorder.__init__

    def noted(self, *args):
        init(self, *args)
        made.append(self)

    monkeypatch.setattr(Recorder, "__init__", noted)
    return made


def test_a_running_one_is_aborted(place, recorders):
    """Its function is ended, its batch is not tried again, it counts as aborted; what comes after it is executed."""
    name = place.register(
        streams().foreach(wait_for_release), "s", onFailedPolicy="retry", onFailedRetryInterval=1, dialect=GEARS
    )
    place.start()
    place.add("s")
    (running,) = kept(place, 1, State.RUNNING)
    assert recorders[0].abort(running.id)
    (aborted,) = kept(place, 1, State.ABORTED)
    assert aborted.id == running.id
    info = place.wait_info(name, lambda info: info.aborted == 1 and info.lag == 0)
    assert (info.triggered, info.succeeded, info.failed, info.retried) == (1, 0, 0, 0)
    place.link.call("SET", "release", 1)
    place.add("s")
    kept(place, 1)
    assert not recorders[0].abort(running.id)


def stubborn(_record):
    """A step that swallows what ends it, the first time."""
    try:
        wait_for_release(_record)
    except BaseException:  # noqa: BLE001 - what users write
        execute("INCR", "swallowed")
        wait_for_release(_record)


def test_one_that_swallows_the_exception_is_aborted_again(place, recorders):
    """Half a second later."""
    place.register(streams().foreach(stubborn), "s", dialect=GEARS)
    place.start()
    place.add("s")
    (running,) = kept(place, 1, State.RUNNING)
    assert recorders[0].abort(running.id)
    kept(place, 1, State.ABORTED)
    assert place.link.call("GET", "swallowed") == "1"


def test_one_that_waits_for_the_server_is_aborted(place, recorders):
    """Its connection ends; the thread makes a new one."""
    place.register(streams().foreach(lambda _: execute("BLPOP", "nothing", 60)), "s", dialect=GEARS)
    place.start(threads=1)
    place.add("s")
    (running,) = kept(place, 1, State.RUNNING)
    assert recorders[0].abort(running.id)
    kept(place, 1, State.ABORTED)
    place.link.call("RPUSH", "nothing", 1)
    place.add("s")
    kept(place, 1)


async def waits_for_ever(_record):
    """A coroutine that never ends."""
    import asyncio

    await asyncio.Event().wait()


def test_a_coroutine_is_aborted(place, recorders):
    """The event loop is woken up for it."""
    place.register(streams().foreach(waits_for_ever), "s", dialect=GEARS)
    place.start(threads=1)
    for _ in range(2):
        place.add("s")
    for count in (1, 2):
        (running,) = kept(place, 1, State.RUNNING)
        assert recorders[0].abort(running.id)
        kept(place, count, State.ABORTED)


def test_one_without_progress_is_aborted(place):
    """After ExecutionMaxIdleTime; one that takes longer in all, but finishes records, is not."""
    place.link.call("HSET", keys.CONFIG, "ExecutionMaxIdleTime", 400)
    place.register(streams().foreach(lambda _: time.sleep(0.1)), "busy", batch=10, session="a", dialect=GEARS)
    place.register(streams().foreach(wait_for_release), "idle", session="b", dialect=GEARS)
    place.start()
    for _ in range(10):
        place.add("busy")
    place.add("idle")
    (aborted,) = kept(place, 1, State.ABORTED)
    (done,) = kept(place, 1)
    assert aborted.session == "b"
    assert done.session == "a"


def test_a_worker_that_stops_leaves_nothing_behind(place):
    """What ended is kept before it has gone."""
    name = place.register(streams().map(lambda r: r["value"]["a"]), "s", dialect=GEARS)
    worker = place.start()
    for number in range(50):
        place.add("s", "a", str(number))
    place.wait_info(name, lambda info: info.lag == 0)
    worker.stop()
    assert len(Executions(place.link).ids()) == 50


def test_the_lag_of_streams_is_told(place):
    """From the entry's id to the end of its batch; of the last one, and in total."""
    name = place.register(streams().foreach(lambda _: time.sleep(0.05)), "s", batch=2, dialect=GEARS)
    place.start()
    for _ in range(4):
        place.add("s")

    def told():
        found = Store(place.link).statistics([name])[name]
        return found if found.triggered == 2 else None

    statistics = wait_for(told)
    assert 200 <= statistics.last_lag_ms < 5000
    assert 100 <= statistics.average_lag_ms <= statistics.last_lag_ms


def pauses(record):
    """A step that asks to be paused, unless a key is there."""
    if not execute("EXISTS", "release"):
        flat_error("PAUSE until it is released")
    execute("RPUSH", "seen", record["value"]["a"])


def test_a_function_pauses_its_registration(place):
    """Whatever its policy; its batch waits, and is executed when it is resumed."""
    name = place.register(streams().foreach(pauses), "s", dialect=GEARS)
    place.start()
    place.add("s", "a", "1")
    info = place.wait_info(name, lambda info: info.status == "paused")
    assert "PAUSE until it is released" in place.wait_info(name, lambda info: info.last_error).last_error
    place.add("s", "a", "2")
    place.link.call("SET", "release", 1)
    place.client.resume(info.id)
    assert place.seen(2) == ["1", "2"]
    place.wait_info(name, lambda info: (info.failed, info.succeeded) == (1, 2))


def test_key_events_pause_nothing(place):
    """There it is an error like others."""
    name = place.register(GearsBuilder("KeysReader").foreach(pauses), "k", eventTypes=["set"], dialect=GEARS)
    place.start()
    place.link.call("SET", "k", 1)
    assert place.wait_info(name, lambda info: info.failed == 1).status == "active"


def test_a_record_that_fails_costs_itself_alone(place):
    """The others give results; the execution counts as failed."""
    name = place.register(streams().map(lambda r: 6 // int(r["value"]["a"])), "s", batch=3, dialect=GEARS)
    place.start()
    for number in (1, 0, 2):
        place.add("s", "a", str(number))
    (item,) = kept(place, 1)
    given = Executions(place.link).results(item.id)
    assert parsed(given.results) == ["6", "3"]
    (error,) = parsed(given.errors)
    assert error.startswith("['Traceback")
    assert "ZeroDivisionError" in error
    info = place.wait_info(name, lambda info: info.failed == 1)
    assert "ZeroDivisionError" in info.last_error


FUTURES = []


def waits(_record):
    """A step that waits until another one sets its future."""
    FUTURES.append(createFuture())
    execute("INCR", "waiting")
    return FUTURES[-1]


def wakes(_record):
    """Wake up all that wait."""
    while FUTURES:
        setFutureResults(FUTURES.pop(), "woken")


def test_threads_that_wait_for_a_future_keep_nobody_from_setting_it(place):
    """Others take their place, however many they are."""
    place.register(streams().map(waits), "waits:*", session="a", dialect=GEARS)
    place.register(streams().foreach(wakes), "wakes", session="b", dialect=GEARS)
    place.start(threads=1)
    for number in range(5):
        place.add(f"waits:{number}")
    wait_for(lambda: place.link.call("GET", "waiting") == "5")
    place.add("wakes")
    done = kept(place, 6)
    given = [parsed(Executions(place.link).results(item.id).results) for item in done if item.session == "a"]
    assert given == [["woken"]] * 5
