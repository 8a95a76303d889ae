"""What steps do with `execute`: order, deferred commands, errors at the record and step that caused them."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest

from geartrain import GearsBuilder, GeartrainError, execute
from geartrain.runtime import threads
from support.waiting import wait_for


def streams():
    """A StreamReader."""
    return GearsBuilder("StreamReader")


def add_all(place, *values, stream="s"):
    """One entry for each value, in one go."""
    place.link.pipeline([("XADD", stream, "*", "a", value) for value in values])


def test_commands_of_a_batch_keep_their_order(everywhere):
    """Deferred or awaited, plain or `later`: record by record, step by step."""
    place = everywhere

    def both(record):
        execute.later("rpush", "seen", f"{record['a']} second")
        execute("rpush", "seen", f"{record['a']} third")
        return record

    builder = (
        streams()
        .foreach(lambda record: execute("rpush", "seen", f"{record['a']} first"))
        .map(both)
        .foreach(lambda record: execute("rpush", "seen", f"{record['a']} fourth"))
    )
    place.register(builder, "s", batch=10)
    add_all(place, *range(100))
    place.start()
    expected = [f"{n} {word}" for n in range(100) for word in ("first", "second", "third", "fourth")]
    assert place.seen(400) == expected


def test_a_batch_counts_as_done_only_when_its_deferred_commands_are(place):
    """More commands than are sent together, of `foreach` and of `later`: all are there when the offset has moved."""
    builder = (
        streams()
        .foreach(lambda _: [execute.later("incr", "later") for _ in range(30)])
        .foreach(lambda _: execute("incr", "tail"))
    )
    registration = place.register(builder, "s", batch=100)
    add_all(place, *range(100))
    place.start()
    place.wait_done(registration)
    assert place.link.call("MGET", "later", "tail") == ["3000", "100"]


@pytest.mark.parametrize("how", ["tail", "awaited", "later"])
def test_an_error_names_the_step_and_the_record_that_issued_it(everywhere, how):
    """Also where the command was sent long after its step had returned."""
    place = everywhere

    def tail(record):
        execute("incr", record["a"])

    def awaited(record):
        assert execute("incr", record["a"]) > 0

    def later(record):
        execute.later("incr", record["a"])

    functions = {"tail": tail, "awaited": awaited, "later": later}
    place.link.call("SET", "text", "no number")
    builder = streams().foreach(lambda _: None).foreach(functions[how]).map(len)
    registration = place.register(builder, "s", batch=5, onFailedPolicy="abort")
    add_all(place, "n1", "n2", "text", "n3", "n4")
    place.start()
    info = place.wait_info(registration, lambda info: info.last_error)
    assert info.last_error.startswith(f"step 2, foreach({how} at test_execute.py:")
    assert "'a': 'text'" in info.last_error
    assert "not an integer" in info.last_error
    assert "INCR" in info.last_error.upper()


def test_the_commands_of_the_other_records_are_executed_all_the_same(place):
    """The batch fails, and will run again: at least once, for those that were right the first time too."""
    place.link.call("SET", "text", "no number")
    registration = place.register(
        streams().foreach(lambda record: execute("incr", record["a"])), "s", batch=3, onFailedPolicy="continue"
    )
    add_all(place, "n1", "text", "n2")
    place.start()
    place.wait_info(registration, lambda info: info.failed == 1)
    assert place.link.call("MGET", "n1", "n2", "text") == ["1", "1", "no number"]


def test_nothing_of_the_next_batch_is_sent_while_one_is_refused(place):
    """Although its steps may have run: with `retry` the effects come in the order of the entries."""
    place.link.call("SET", "text", "no list")
    registration = place.register(
        streams().foreach(lambda record: execute("rpush", record["key"], record["a"])),
        "s",
        batch=10,
        onFailedRetryInterval=0.01,
    )
    place.link.pipeline(
        [("XADD", "s", "*", "a", number, "key", "text" if number == 15 else "seen") for number in range(200)]
    )
    place.start()
    place.wait_info(registration, lambda info: info.retried >= 5)
    assert max(map(int, place.link.call("LRANGE", "seen", 0, -1))) == 19
    place.link.call("DEL", "text")
    place.wait_done(registration)
    firsts = dict.fromkeys(map(int, place.link.call("LRANGE", "seen", 0, -1)))
    assert list(firsts) == [number for number in range(200) if number != 15]
    assert place.link.call("LRANGE", "text", 0, -1) == ["15"]


def test_batches_that_run_ahead_keep_their_order_when_connections_are_lost(place):
    """What is executed again is whole batches, from the first one on that may not have had its effects."""
    registration = place.register(
        streams().foreach(lambda record: execute("rpush", "seen", record["a"])), "s", batch=50
    )
    place.start()
    for start in range(0, 20_000, 2500):
        add_all(place, *range(start, start + 2500))
        wait_for(lambda start=start: place.link.call("LLEN", "seen") > start)
        place.link.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    place.client.close()
    place.wait_done(registration)
    seen = list(map(int, place.link.call("LRANGE", "seen", 0, -1)))
    assert list(dict.fromkeys(seen)) == list(range(20_000))
    steps = [(before, after) for before, after in pairwise(seen) if after != before + 1]
    assert all(after % 50 == 0 and after <= before for before, after in steps)


def test_a_try_in_a_step_catches_its_own_error_only(place):
    """A `try` that happens to wait for an earlier record's command does not make that one's error disappear."""

    def careful(record):
        try:
            return execute("get", f"value:{record['a']}")
        except GeartrainError:
            return "caught"

    def refused(record):
        execute("incr", record["a"])

    place.link.call("SET", "text", "no number")
    registration = place.register(streams().foreach(refused).map(careful), "s", batch=2, onFailedPolicy="continue")
    add_all(place, "text", "n")
    place.start()
    info = place.wait_info(registration, lambda info: info.triggered == 1)
    assert (info.failed, info.succeeded) == (1, 0)
    assert info.last_error.startswith("step 1, foreach(refused at")


def test_a_step_can_catch_the_error_of_its_command(place):
    """With a `try` around it the reply is waited for, and the error is the step's to handle."""

    def careful(record):
        try:
            execute("incr", record["a"])
        except GeartrainError as error:
            execute("rpush", "seen", str(error))

    place.link.call("SET", "text", "no number")
    registration = place.register(streams().foreach(careful), "s")
    add_all(place, "text")
    place.start()
    assert "not an integer" in place.seen(1)[0]
    assert place.wait_done(registration).failed == 0


def test_replies_are_int_text_list_and_none(place):
    """As the specification's `execute` gives them."""

    def ask(_record):
        execute("del", "list", "nothing")
        replies = [
            execute("rpush", "list", "x", b"\xff", 3, 1.5),
            execute("lrange", "list", 0, -1),
            execute("get", "nothing"),
            execute("set", "text", "t"),
            execute("get", "text"),
        ]
        execute("rpush", "seen", repr(replies))

    place.register(streams().foreach(ask), "s")
    add_all(place, "1")
    place.start()
    assert eval(place.seen(1)[0]) == [4, ["x", b"\xff", "3", "1.5"], None, "OK", "t"]


def test_async_steps_run_together_within_a_batch(place):
    """Ten coroutines that wait for each other only end where all run; results keep their order."""
    source = """
import asyncio

arrived = 0
event = None

async def meet(record):
    global arrived, event
    event = event or asyncio.Event()
    arrived += 1
    if arrived == 10:
        event.set()
    await asyncio.wait_for(event.wait(), 10)
    return record["a"]

GearsBuilder("StreamReader").map(meet).foreach(lambda a: execute("rpush", "seen", a)).register("s", batch=10)
"""
    place.client.execute(source, session="script")
    add_all(place, *range(10))
    place.start()
    assert place.seen(10) == [str(n) for n in range(10)]


def test_an_error_in_an_async_step_names_its_record(place):
    """Also where all records of the batch were under way."""

    async def fail_on_two(record):
        if record["a"] == "2":
            raise ValueError("two")

    registration = place.register(streams().foreach(fail_on_two), "s", batch=4, onFailedPolicy="continue")
    add_all(place, *range(4))
    place.start()
    info = place.wait_info(registration, lambda info: info.failed == 1)
    assert info.last_error.startswith("step 1, foreach(fail_on_two at test_execute.py:")
    assert "'a': '2'" in info.last_error
    assert "ValueError: two" in info.last_error


def test_an_async_step_may_execute_commands(place):
    """Their errors are those of the record and step too."""

    async def count(record):
        execute("incr", record["a"])

    place.link.call("SET", "text", "no number")
    registration = place.register(streams().foreach(count), "s", batch=3, onFailedPolicy="continue")
    add_all(place, "n1", "text", "n2")
    place.start()
    info = place.wait_info(registration, lambda info: info.failed == 1)
    assert info.last_error.startswith("step 1, foreach(count at test_execute.py:")
    assert "'a': 'text'" in info.last_error


def test_a_thread_that_a_step_starts_may_execute(place):
    """It gets a connection of its own."""
    source = """
import threading

def note(record):
    thread = threading.Thread(target=lambda: execute("rpush", "seen", record["a"]))
    thread.start()
    thread.join()

GearsBuilder("StreamReader").foreach(note).register("s")
"""
    place.client.execute(source, session="script")
    place.start()
    add_all(place, "from a thread")
    assert place.seen(1) == ["from a thread"]


def test_execute_where_there_is_no_server_says_what_to_do(monkeypatch):
    """Outside of a session, a step or a callback there is nothing to send the command to."""
    monkeypatch.setattr(threads, "_process_endpoint", None)
    raised = []

    def call():
        try:
            execute("ping")
        except GeartrainError as error:
            raised.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert len(raised) == 1
    assert "session" in raised[0]
