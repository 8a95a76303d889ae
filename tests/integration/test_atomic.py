"""`with atomic():` outside of the server: one client has the server for itself, all others wait."""

from __future__ import annotations

import threading
import time

import pytest

from geartrain import GearsBuilder, atomic, execute
from geartrain.errors import ArgumentError, CommandError, GeartrainError, NeedsModule
from geartrain.runtime import Context, enter
from geartrain.wire import Endpoint, Link
from support.waiting import wait_for
from support.working import Workplace


@pytest.fixture
def context(module_server):
    """This thread's context, on a server with the module."""
    made = Context(Endpoint(module_server.url))
    before = enter(made)
    yield made
    enter(before)
    made.close()


def other(url, *command):
    """What another client gets, from a thread of its own, and when (`time.monotonic`)."""
    answers = []

    def ask():
        with Link(Endpoint(url)) as link:
            answers.append((link.call(*command), time.monotonic()))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread, answers


def test_others_wait_until_the_block_ends(context, module_server):
    """They see the state before it or after it, nothing in between; replies are there at once in the block."""
    execute("set", "a", 1)
    with atomic():
        assert execute("incr", "a") == 2
        thread, answers = other(module_server.url, "GET", "a")
        thread.join(0.2)
        assert answers == []
        assert execute("incr", "a") == 3
        ended = time.monotonic()
    thread.join(5)
    assert answers[0][0] == "3"
    assert answers[0][1] >= ended
    assert execute("ping") == "PONG"


def test_an_error_ends_the_block_and_nothing_else(context, module_server):
    """What the server refuses is an error of that command; what the code raises passes through; others go on."""
    with atomic():
        with pytest.raises(CommandError, match="WRONGTYPE"):
            execute("set", "a", 1), execute("lpush", "a", 1)
        execute("set", "b", 1)
    with pytest.raises(ZeroDivisionError), atomic():
        execute("set", "c", 1 // 0)
    thread, answers = other(module_server.url, "MGET", "a", "b", "c")
    thread.join(5)
    assert answers[0][0] == ["1", "1", None]


def test_a_block_that_takes_too_long_is_ended_by_the_server(context, module_server):
    """Its next command raises; what it had done stays, what comes later is not executed; others are served."""

    def block():
        with atomic(timeout=0.1):
            execute("set", "a", 1)
            thread, answers = other(module_server.url, "GET", "a")
            thread.join(5)
            assert answers[0][0] == "1"
            execute("set", "b", 1)

    with pytest.raises(CommandError, match=r"ATOMICTIMEOUT.* 100 ms"):
        block()
    assert execute("mget", "a", "b") == ["1", None]


def test_a_block_that_has_ended_does_not_go_on_outside(context):
    """Code that catches the error cannot send the rest of the block without the hold."""

    def work():
        for _ in range(10_000):
            execute("incr", "n")
            threading.Event().wait(0.01)

    with atomic(timeout=0.05):
        with pytest.raises(CommandError, match="ATOMICTIMEOUT"):
            work()
        with pytest.raises(GeartrainError, match="has ended"):
            execute("set", "late", 1)
    assert execute("get", "late") is None


def test_commands_that_nobody_waits_for_belong_to_the_block(context, module_server):
    """`execute.later` is done when the block ends."""
    with atomic():
        for number in range(100):
            execute.later("rpush", "l", number)
    with Link(Endpoint(module_server.url)) as link:
        assert link.call("LLEN", "l") == 100


def test_a_block_cannot_be_within_another(context):
    """The inner one is an error, the outer one goes on."""
    with atomic():
        with pytest.raises(ArgumentError, match="within another"), atomic():
            pass
        execute("set", "a", 1)
    assert execute("get", "a") == "1"


@pytest.mark.parametrize("timeout", [0, -1, 61, True, "1", float("nan")])
def test_the_timeout_is_seconds_within_bounds(timeout):
    """Anything else is an error that says so."""
    with pytest.raises(ArgumentError, match=r"from 0\.001 to 60"):
        atomic(timeout=timeout)


def test_without_the_module_the_error_says_what_to_load(valkey):
    """And what to do without it."""
    made = Context(Endpoint(valkey.url))
    before = enter(made)
    try:
        with pytest.raises(NeedsModule, match="geartrain module --loadmodule"), atomic():
            pass
        assert execute("ping") == "PONG"
    finally:
        enter(before)
        made.close()


def test_steps_of_a_registration_may_use_it(module_server):
    """A transfer that reads and then writes: the sum is the same for whoever looks."""

    def transfer(record):
        with atomic():
            amount = min(int(execute("get", "from") or 0), int(record["amount"]))
            execute("decrby", "from", amount)
            execute("incrby", "to", amount)

    with Workplace(module_server.url) as place:
        place.link.call("SET", "from", 1000)
        registration = place.register(GearsBuilder("StreamReader").foreach(transfer), "transfers:*")
        for number in range(40):
            place.add(f"transfers:{number % 4}", "amount", 10)
        place.start()
        sums = set()

        def done():
            have = place.link.call("MGET", "from", "to")
            sums.add(int(have[0]) + int(have[1] or 0))
            return place.info(registration).succeeded == 40

        wait_for(done)
        assert sums == {1000}
        assert place.link.call("MGET", "from", "to") == ["600", "400"]
