"""Command hooks as scripts register them: in the server, and in workers."""

from __future__ import annotations

import pytest

from geartrain import Dialect, GearsBuilder, execute
from geartrain.errors import ArgumentError, CommandError
from geartrain.runtime import call_next
from geartrain.wire import Endpoint, Link
from support.waiting import wait_for
from support.working import RELEASE, until_released


def stamping():
    """HSET with one more field, and an effect of its own, which is not hooked; made here: its code goes along."""

    def stamped(words):
        execute("HSET", "log", words[1], "seen")
        return call_next(*words[1:], "stamped", "yes")

    return stamped


def hook(place, function, command, session="test", dialect=Dialect.GEARTRAIN, **arguments):
    """Register it; its id."""
    return place.register(
        GearsBuilder("CommandReader").map(function), session=session, dialect=dialect, hook=command, **arguments
    )


@pytest.mark.parametrize("mode", ["sync", "async", "async_local"])
def test_a_hook_works_in_each_mode(captured, mode):
    """The same function, with the same effects and reply; unregistered, the command is what it was."""
    place = captured
    registration = hook(place, stamping(), "hset", mode=mode)
    place.start()
    assert place.link.call("HSET", "k", "a", "1") == 2
    assert place.link.call("HGETALL", "k") == ["a", "1", "stamped", "yes"]
    assert place.link.call("HGETALL", "log") == ["k", "seen"]
    place.wait_info(registration, lambda info: info.succeeded == 1)
    place.client.unregister(registration)
    assert place.link.call("HSET", "l", "a", "1") == 1


def test_a_paused_hook_is_none(captured):
    """Until it is resumed."""
    place = captured
    registration = hook(place, lambda _: "hooked", "ping", mode="sync")
    assert place.link.call("PING") == "hooked"
    place.client.pause(registration)
    assert place.link.call("PING") == "PONG"
    place.client.resume(registration)
    wait_for(lambda: place.link.call("PING") == "hooked")


def test_async_hooks_call_the_hooks_before_them(captured):
    """Sync ones, in the server."""
    place = captured
    hook(place, lambda words: f"first({call_next(*words[1:])})", "echo", session="a", mode="sync")
    hook(place, lambda words: f"second({call_next(*words[1:])})", "echo", session="b", mode="async")
    place.start()
    assert place.link.call("ECHO", "x") == "second(first(x))"


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_errors_reach_the_client(captured, mode):
    """Those of the original and those of the function."""
    place = captured
    hook(place, lambda words: call_next(*words[1:]), "hset", session="a", mode=mode)
    hook(place, lambda words: words[99], "ping", session="b", mode=mode)
    place.start()
    place.link.call("SET", "k", "v")
    with pytest.raises(CommandError, match="WRONGTYPE"):
        place.link.call("HSET", "k", "a", "1")
    with pytest.raises(CommandError, match="IndexError"):
        place.link.call("PING")


def test_in_the_dialect_of_redisgears_results_are_text(captured):
    """`convertToStr` is its default, so the number of fields is a string."""
    place = captured
    hook(place, stamping(), "hset", dialect=Dialect.REDISGEARS_1_2, mode="sync")
    assert place.link.call("HSET", "k", "a", "1") == "2"


@pytest.mark.parametrize(
    ("command", "arguments", "why"),
    [("multi", {}, "noscript"), ("nonsense", {}, "no such command"), ("zunion", {"keyprefix": "k"}, "movablekeys")],
)
def test_a_command_that_cannot_be_hooked_is_refused_when_it_is_registered(captured, command, arguments, why):
    """Nothing is registered."""
    with pytest.raises(ArgumentError, match=f"cannot be hooked: .*{why}"):
        hook(captured, stamping(), command, mode="sync", **arguments)
    assert captured.client.registrations() == []


def test_commands_of_key_events_are_refused_as_hooks_are(captured):
    """They are hooked too."""
    with pytest.raises(ArgumentError, match="noscript"):
        captured.register(GearsBuilder().foreach(print), "k", eventTypes=["keymiss"], commands=["get", "exec"])


def test_nothing_waits_for_a_hook_in_a_worker_but_its_client(captured):
    """Others are served meanwhile."""
    place = captured

    def slow(words):
        execute("SET", "begun", "1")
        until_released()
        return call_next(*words[1:])

    hook(place, slow, "echo", mode="async")
    place.start()
    other = Link(Endpoint(place.url))
    other.send(b"ECHO x\r\n")
    wait_for(lambda: place.link.call("EXISTS", "begun"))
    assert place.link.call("PING") == "PONG"
    place.link.call("SET", RELEASE, "1")
    assert other.replies(1) == ["x"]
