"""`RG.TRIGGER`: registrations of the CommandReader, executed by workers."""

from __future__ import annotations

import threading

import hiredis
import pytest

from geartrain import CommandError, Dialect, GearsBuilder, call_next, createFuture, execute, setFutureResults
from geartrain.registry import Store
from geartrain.registry.executions import Executions, State
from geartrain.wire import Endpoint, access
from support.calls import Raw, wait_blocked
from support.waiting import wait_for
from support.working import until_released

GEARS = Dialect.REDISGEARS_1_2


def commands():
    """A pipeline over calls."""
    return GearsBuilder("CommandReader")


def trigger(place, *words):
    """The reply to `RG.TRIGGER`, over a connection of its own."""
    with access(Endpoint(place.url)) as link:
        return link.call("RG.TRIGGER", *words)


def parsed(blob):
    """What a client makes of results or errors."""
    reader = hiredis.Reader(encoding="utf-8")
    reader.feed(blob)
    return reader.gets()


class Caller(threading.Thread):
    """Calls a trigger in a thread; `join` gives the reply."""

    def __init__(self, place, *words):
        super().__init__(daemon=True)
        self._call = lambda: trigger(place, *words)
        self.start()

    def run(self):
        """Call."""
        self.reply = self._call()

    def result(self):
        """The reply."""
        self.join(20)
        return self.reply


def test_a_trigger_gets_the_words_and_replies_with_the_results(captured):
    """The trigger's name comes first; convertToStr is on in this dialect."""
    place = captured
    place.register(commands(), trigger="echo", dialect=GEARS)
    place.start()
    assert trigger(place, "echo", "foo", "bar") == ["['echo', 'foo', 'bar']"]
    assert trigger(place, "echo", b"\xff") == ["['echo', b'\\xff']"]


def test_results_without_conversion_have_types(captured):
    """As many as the pipeline gives."""
    place = captured
    place.register(commands().flatmap(lambda x: [len(x), None, [x[1]]]), trigger="t", convertToStr=False, dialect=GEARS)
    place.register(commands().filter(lambda _: False), trigger="none", session="n", dialect=GEARS)
    place.start()
    assert trigger(place, "t", "a") == [2, None, ["a"]]
    assert trigger(place, "none") == []


def test_a_trigger_executes_commands(captured):
    """And replies when they are done."""
    place = captured
    place.register(commands().map(lambda x: execute("SET", x[1], x[2])), trigger="my_set", dialect=GEARS)
    place.start()
    assert place.link.call("RG.TRIGGERONKEY", "my_set", "foo", "bar") == ["OK"]
    assert place.link.call("GET", "foo") == "bar"


def test_what_a_step_raises_is_an_error_reply(captured):
    """The lines of the traceback, or, as PythonAttemptTraceback says, the exception alone."""
    place = captured
    name = place.register(commands().map(lambda x: int(x[1])), trigger="int", dialect=GEARS)
    place.start()
    with pytest.raises(CommandError, match=r"Traceback.*ValueError: invalid literal"):
        trigger(place, "int", "x")
    assert trigger(place, "int", "7") == ["7"]
    place.wait_info(name, lambda info: (info.triggered, info.succeeded, info.failed) == (2, 1, 1))


def test_executions_of_triggers_are_kept(captured):
    """With results or errors, as those of streams."""
    place = captured
    name = place.register(commands().map(lambda x: int(x[1])), trigger="int", dialect=GEARS)
    place.start()
    trigger(place, "int", "7")
    with pytest.raises(CommandError):
        trigger(place, "int", "x")
    executions = Executions(place.link)
    good, bad = wait_for(lambda: executions.all() if len(executions.ids()) == 2 else None)
    assert (good.registration, good.status, good.results, good.errors) == (name, State.DONE, 1, 0)
    assert parsed(executions.results(good.id).results) == ["7"]
    assert (bad.results, bad.errors) == (0, 1)


def wait_for_release(record):
    """A step that goes on until a key is there."""
    until_released()
    return record[1]


def test_triggers_run_at_the_same_time(captured):
    """Three of them."""
    place = captured
    place.register(
        commands().foreach(lambda _: execute("INCR", "in")).map(wait_for_release), trigger="w", dialect=GEARS
    )
    place.start()
    callers = [Caller(place, "w", str(number)) for number in range(3)]
    wait_for(lambda: len([item for item in Executions(place.link).all() if item.status is State.RUNNING]) == 3)
    place.link.call("SET", "release", 1)
    assert [caller.result() for caller in callers] == [["0"], ["1"], ["2"]]


def test_in_order_they_run_one_by_one(captured):
    """With `inorder`, in the order in which they came."""
    place = captured
    steps = commands().map(wait_for_release).map(lambda word: execute("RPUSH", "seen", word))
    place.register(steps, trigger="o", mode="async_local", inorder=True, dialect=GEARS)
    place.start()
    callers = [Raw(Endpoint(place.url).address.port) for _ in range(6)]
    for number, caller in enumerate(callers):
        caller.send("RG.TRIGGER", "o", str(number))
        wait_blocked(place.link, caller)
    place.link.call("SET", "release", 1)
    assert [caller.receive() for caller in callers] == [[str(number).encode()] for number in range(1, 7)]
    assert place.link.call("LRANGE", "seen", 0, -1) == list("012345")
    for caller in callers:
        caller.close()


FUTURES = []


def waits(_record):
    """A step that waits until another one sets its future."""
    FUTURES.append(createFuture())
    execute("INCR", "waiting")
    return FUTURES[-1]


def wakes(_record):
    """Wake up all that wait."""
    count = len(FUTURES)
    while FUTURES:
        setFutureResults(FUTURES.pop(), "woken")
    return count


def test_triggers_may_wait_for_others(captured):
    """However many do: their threads are not missed."""
    place = captured
    place.register(commands().map(waits), trigger="waits", session="a", dialect=GEARS)
    place.register(commands().map(wakes), trigger="wakes", session="b", dialect=GEARS)
    place.start()
    callers = [Caller(place, "waits") for _ in range(8)]
    wait_for(lambda: place.link.call("GET", "waiting") == "8")
    assert trigger(place, "wakes") == ["8"]
    assert [caller.result() for caller in callers] == [["woken"]] * 8


async def twice(record):
    """A coroutine."""
    import asyncio

    await asyncio.sleep(0.01)
    return record[1] * 2


def test_a_coroutine_replies(captured):
    """When it has ended."""
    place = captured
    place.register(commands().map(twice), trigger="twice", dialect=GEARS)
    place.start()
    assert trigger(place, "twice", "ab") == ["abab"]


def test_an_aborted_trigger_is_an_error(captured):
    """For its caller; it counts as aborted."""
    place = captured
    name = place.register(commands().map(wait_for_release), trigger="w", dialect=GEARS)
    place.start()

    def called():
        with pytest.raises(CommandError, match="execution aborted"):
            trigger(place, "w", "x")

    caller = threading.Thread(target=called)
    caller.start()
    executions = Executions(place.link)
    (item,) = wait_for(lambda: executions.all() or None)
    assert place.link.call("GEARTRAIN.CALL", item.owner, "ABORT", item.id) == "OK"
    caller.join(10)
    wait_for(lambda: executions.get(item.id).status is State.ABORTED)
    place.wait_info(name, lambda info: (info.triggered, info.aborted, info.failed) == (1, 1, 0))


def test_a_trigger_that_has_just_been_registered_is_waited_for(captured):
    """While its code is loaded; `onRegistered` runs first."""
    place = captured
    place.start(poll_interval=0.5)
    place.register(commands().map(lambda _: execute("GET", "ready")), trigger="new", dialect=GEARS,
                   onRegistered=lambda: execute("SET", "ready", "yes"))  # fmt: skip
    assert trigger(place, "new") == ["yes"]


def test_code_that_cannot_be_loaded_is_an_error_for_the_caller(captured):
    """With what it raised."""
    place = captured
    name = place.register(commands(), trigger="bad", dialect=GEARS, onRegistered=lambda: 1 / 0)
    place.start()
    with pytest.raises(CommandError, match="onRegistered raised ZeroDivisionError"):
        trigger(place, "bad")
    place.wait_info(name, lambda info: info.last_error)


def test_a_paused_trigger_is_unknown_until_it_is_resumed(captured):
    """And for good when it is unregistered; nothing of it is left."""
    place = captured
    name = place.register(commands().map(lambda _: "here"), trigger="t", dialect=GEARS)
    place.start()
    assert trigger(place, "t") == ["here"]
    place.client.pause(name)
    wait_for(lambda: is_unknown(place))
    place.client.resume(name)
    assert wait_for(lambda: None if is_unknown(place) else trigger(place, "t")) == ["here"]
    place.client.unregister(name)
    wait_for(lambda: is_unknown(place))
    assert Store(place.link).remaining() == []


def is_unknown(place):
    """Whether the module does not know the trigger."""
    try:
        trigger(place, "t")
    except CommandError:
        return True
    return False


def test_registrations_of_commands_have_no_streams(captured):
    """They have no lag, and promise what a call can."""
    place = captured
    name = place.register(commands(), trigger="t", dialect=GEARS)
    worker = place.start()
    info = place.info(name)
    assert (info.lag, info.delivery, info.last_error) == (None, "at-most-once", None)
    assert place.client.show(name).partitions == []
    assert worker.worker._ownership.open == {}


def test_triggers_of_the_native_dialect_reply_too(captured):
    """Results with their types, errors as Geartrain has them; nothing is kept of them."""
    place = captured
    name = place.register(commands().map(lambda x: 6 // int(x[1])), trigger="t")
    place.start()
    assert trigger(place, "t", "2") == [3]
    with pytest.raises(CommandError, match=r"ERR step 1, map\(.* raised ZeroDivisionError"):
        trigger(place, "t", "0")
    place.wait_info(name, lambda info: (info.succeeded, info.failed) == (1, 1))
    assert Executions(place.link).ids() == []


def test_an_error_of_the_hooked_command_goes_to_the_client_as_it_is(captured):
    """Where the function does not catch it."""
    place = captured
    place.register(commands().map(lambda x: call_next(*x[1:])), hook="incr", keyprefix="h", dialect=GEARS)
    place.start()
    place.link.call("SET", "h1", "text")
    with pytest.raises(CommandError) as caught:
        place.link.call("INCR", "h1")
    assert caught.value.reply == "ERR value is not an integer or out of range"


def test_a_hook_replies_in_the_place_of_the_command(captured):
    """With one result as it is; `call_next` calls the original."""
    place = captured
    place.register(
        commands().map(lambda x: call_next(*x[1:], "more", "1")), hook="hset", keyprefix="h", convertToStr=False,
        dialect=GEARS,
    )  # fmt: skip
    place.start()
    assert place.link.call("HSET", "h1", "a", "1") == 2
    assert place.link.call("HGETALL", "h1") == ["a", "1", "more", "1"]
    assert place.link.call("HSET", "other", "a", "1") == 1
