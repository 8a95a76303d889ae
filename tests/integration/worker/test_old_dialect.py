"""Registrations of the dialect redisgears-1.2 in workers: records, and steps that wait."""

from __future__ import annotations

import threading

from geartrain import Dialect, GearsBuilder, createFuture, execute, flat_error, setFutureResults
from geartrain.builder import GB
from support.working import SEEN

OLD = Dialect.REDISGEARS_1_2
futures = []


def keys():
    """A KeysReader."""
    return GearsBuilder("KeysReader")


def streams():
    """A StreamReader."""
    return GearsBuilder("StreamReader")


def test_key_events_have_redisgears_records(place):
    """A set has no value, and without `readValue` there is no type."""

    def note(record):
        execute("RPUSH", SEEN, str(record))

    place.register(keys().foreach(note), "a*", dialect=OLD, session="a")
    place.register(keys().foreach(note), "b", dialect=OLD, readValue=False, session="b")
    place.start()
    place.link.call("SADD", "a1", "m")
    place.seen(1)
    place.link.call("SET", "b", "v")
    assert place.seen(2) == [
        "{'event': 'sadd', 'key': 'a1', 'type': 'set', 'value': None}",
        "{'event': 'set', 'key': 'b', 'type': None, 'value': None}",
    ]


def test_key_events_of_the_module_have_redisgears_records(captured):
    """Those too."""
    captured.register(keys().foreach(lambda r: execute("RPUSH", SEEN, str(r))), "a*", dialect=OLD)
    captured.start()
    captured.link.call("ZADD", "a1", 1, "m")
    captured.link.call("HSET", "a2", "f", "v")
    assert captured.seen(2) == [
        "{'event': 'zadd', 'key': 'a1', 'type': 'zset', 'value': None}",
        "{'event': 'hset', 'key': 'a2', 'type': 'hash', 'value': {'f': 'v'}}",
    ]


def test_a_failing_record_of_a_batch_keeps_no_other_back(place):
    """The execution has failed, and what the others did has happened; the policy `continue` goes on."""

    def step(record):
        if record["value"]["a"] == "1":
            flat_error("not this one")
        execute("RPUSH", SEEN, record["value"]["a"])

    name = place.register(streams().foreach(step), "s", dialect=OLD, batch=3)
    place.start()
    for number in range(6):
        place.add("s", "a", number)
    assert place.seen(5) == ["0", "2", "3", "4", "5"]
    info = place.wait_info(name, lambda info: info.triggered >= 2)
    assert (info.failed, info.succeeded) == (1, 1)
    assert "not this one" in info.last_error


def test_more_executions_can_wait_than_there_are_threads(place):
    """Each thread that waits lends its place; the last one lets all go on."""

    def wait(record):
        if record["value"]["a"] == "last":
            for future in futures:
                setFutureResults(future, "done")
            return "last"
        future = createFuture()
        futures.append(future)
        execute("RPUSH", SEEN, "waits")
        return future

    builder = streams().map(wait).foreach(lambda result: execute("RPUSH", "out", result))
    place.register(builder, "s:*", dialect=OLD)
    place.start(threads=2)
    for number in range(7):
        place.add(f"s:{number}", "a", "first")
    place.seen(7)
    place.add("s:last", "a", "last")
    assert sorted(place.seen(8, "out")) == ["done"] * 7 + ["last"]
    names = [item.name for item in threading.enumerate() if item.name.startswith("geartrain-exec")]
    assert len(names) >= 2


def test_a_step_of_a_registration_awaits_a_run(place):
    """In the worker's process; its errors are the second item."""

    async def count(_):
        results, errors = await GB().count().run("k:*")
        return f"{results} {errors}"

    place.link.pipeline([("SET", f"k:{number}", 1) for number in range(4)])
    builder = streams().map(count).foreach(lambda text: execute("RPUSH", SEEN, text))
    place.register(builder, "s", dialect=OLD)
    place.start()
    place.add("s")
    assert place.seen(1) == ["['4'] []"]


def test_a_step_imports_redisgears_in_a_worker(place, start_worker):
    """As recipes do, within their functions."""

    def step(_):
        from redisgears import executeCommand, getMyHashTag

        from __main__ import configGet

        executeCommand("RPUSH", SEEN, getMyHashTag(), str(configGet("maxmemory")))

    place.register(streams().foreach(step), "s", dialect=OLD)
    start_worker(place.url)
    place.add("s")
    tag, limit = place.seen(2)
    assert (len(tag) > 0, limit) == (True, "0")
