"""Functions that misbehave: the server answers the next client, and the registration says what happened."""

from __future__ import annotations

import sys
import time

import pytest

from geartrain import GearsBuilder, execute
from support.inserver import load_line, register, state, statistics
from support.waiting import wait_for

ID = "tests/KeysReader:k:*"


@pytest.fixture
def gears(flavour, fresh_server):
    """A server whose functions may take 300 ms."""
    return fresh_server(flavour, options=load_line(timeout_ms=300))


def run(client, function):
    """Register a function and trigger it once; its first failure."""
    register(client, lambda: GearsBuilder().foreach(function).register("k:*", mode="sync"))
    assert client.call("SET", "k:1", "v") == "OK"
    assert client.call("PING") == "PONG"
    found = wait_for(lambda: (found := statistics(client, ID)).failed and found)
    assert (found.failed, found.succeeded) == (1, 0)
    return found


def raises_value_error(record):
    """An error of the usual kind."""
    raise ValueError("no good")


def exits(record):
    """Would end a process."""
    sys.exit(3)


def interrupts(record):
    """As Ctrl+C."""
    raise KeyboardInterrupt


def recurses(record):
    """Never comes back."""
    return recurses(record)


def cannot_be_shown(record):
    """An error whose text raises."""

    class BadError(Exception):
        def __str__(self):
            raise RuntimeError

    raise BadError


def never_shown(record):
    """An error whose text takes for ever."""

    class SlowError(Exception):
        def __str__(self):
            while True:
                time.sleep(0)
            return "never"

    raise SlowError


def grows(record):
    """Asks for more memory than there is."""
    return bytearray(sys.maxsize)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (raises_value_error, "ValueError: no good"),
        (exits, "SystemExit: 3"),
        (interrupts, "KeyboardInterrupt"),
        (recurses, "RecursionError"),
        (cannot_be_shown, "BadError"),
        (never_shown, "SlowError"),
        (grows, "MemoryError"),
    ],
)
def test_whatever_is_raised_is_counted_and_not_shown_to_the_client(client, function, says):
    """The write is done, its reply is `OK`, and the failure is in the statistics."""
    assert says in run(client, function).last_error


def test_an_endless_loop_is_ended_after_the_timeout(client):
    """TimeoutError is raised in it."""

    def loops(record):
        while True:
            pass

    begin = time.monotonic()
    found = run(client, loops)
    assert "TimeoutError" in found.last_error
    assert "loops" in found.last_trace
    assert time.monotonic() - begin < 5


def test_a_loop_that_catches_everything_gets_it_again(client):
    """Each timeout, until it ends."""

    def stubborn(record):
        for _ in range(3):
            try:
                while True:
                    pass
            except BaseException:  # noqa: BLE001
                execute("incr", "caught")
        raise ValueError("at last")

    assert "at last" in run(client, stubborn).last_error
    assert client.call("GET", "caught") == "3"


def test_a_function_that_sleeps_is_woken(client):
    """A blocking call ends too."""

    def sleeps(record):
        time.sleep(100)

    assert "TimeoutError" in run(client, sleeps).last_error


def test_an_async_function_that_waits_is_ended(client):
    """The event loop's wait is cut short."""

    async def waits(record):
        import asyncio

        await asyncio.sleep(100)

    assert "TimeoutError" in run(client, waits).last_error


def test_a_timeout_never_hits_a_later_function(client):
    """Functions that take about as long as the timeout, one after the other, and quick ones between."""

    def script():
        GearsBuilder().foreach(lambda _: time.sleep(0.31)).register("k:slow", mode="sync", name="slow")
        GearsBuilder().foreach(lambda _: [execute("incr", "n") for _ in range(20)]).register(
            "k:quick", mode="sync", name="quick"
        )

    register(client, script)
    for _ in range(10):
        client.pipeline([("SET", "k:slow", "v"), *(("SET", "k:quick", "v") for _ in range(50))])
    assert client.call("GET", "n") == "10000"
    wait_for(lambda: statistics(client, "quick").succeeded == 500)
    assert statistics(client, "quick").failed == 0


def test_huge_output_is_cut(client, gears):
    """A megabyte in one line, and many lines."""

    def talks(record):
        print("x" * 1_000_000)
        for _ in range(2000):
            print("y" * 500)
        raise ValueError("z" * 1_000_000)

    assert len(run(client, talks).last_error) < 3000
    assert gears.log_path.stat().st_size < 5_000_000


def test_a_large_reply_and_large_arguments_go_through(client):
    """Megabytes."""

    def large(record):
        execute("set", "large", b"x" * 3_000_000)
        execute("set", "length", len(execute("get", "large")))

    register(client, lambda: GearsBuilder().foreach(large).register("k:*", mode="sync"))
    client.call("SET", "k:1", "v")
    assert client.call("GET", "length") == "3000000"


def test_on_registered_that_raises_is_the_hooks_error(client):
    """And the registration's last error; events pass by."""

    def script():
        GearsBuilder().foreach(raises_value_error).register("k:*", mode="sync", onRegistered=lambda: 1 / 0)

    register(client, script, loads=False)
    wait_for(lambda: "onRegistered raised ZeroDivisionError" in state(client, ID))
    assert client.call("SET", "k:1", "v") == "OK"
    assert "ZeroDivisionError" in statistics(client, ID).last_error


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"python": "3.8"}, "registered with Python 3.8"),
        ({"blob": "bm90aGluZw=="}, "cannot be loaded here"),
        ({"blob": "!"}, "loading its code raised"),
        ({"registration": "{}"}, "loading its code raised"),
        ({"version": "x"}, "loading its code raised"),
    ],
)
def test_a_definition_that_cannot_be_loaded_is_the_hooks_error(client, changed, says):
    """Another Python, and nonsense of each kind."""
    register(
        client,
        lambda: GearsBuilder().foreach(raises_value_error).register("k:*", mode="sync"),
        changed=changed,
        loads=False,
    )
    wait_for(lambda: says in state(client, ID), message=state(client, ID))
    assert client.call("SET", "k:1", "v") == "OK"


def test_code_that_ends_the_process_when_it_is_loaded_is_the_hooks_error(client):
    """SystemExit while unpickling."""
    import base64
    import pickle

    class Exits:
        def __reduce__(self):
            return sys.exit, (1,)

    blob = base64.b64encode(pickle.dumps(Exits())).decode()
    register(
        client,
        lambda: GearsBuilder().foreach(raises_value_error).register("k:*", mode="sync"),
        changed={"blob": blob},
        loads=False,
    )
    wait_for(lambda: "SystemExit" in state(client, ID))
    assert client.call("SET", "k:1", "v") == "OK"
