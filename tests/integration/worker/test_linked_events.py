"""Key misses in workers; with `commands=` the client waits for the execution, which may change its reply."""

from __future__ import annotations

import time

import pytest

from geartrain import GearsBuilder, execute
from geartrain.errors import CommandError
from geartrain.runtime import override_reply
from geartrain.wire import Endpoint, Link
from support.hooks import information
from support.keyrecords import noting, records
from support.waiting import wait_for


def miss(place, function, mode="async", **arguments):
    """Register a function for keys that GET misses; its id."""
    return place.register(
        GearsBuilder().foreach(function), "k:*", mode=mode, eventTypes=["keymiss"], commands=["get"], **arguments
    )


def read_through(record):
    """Fill the key, and give the client what it has now."""
    execute("SET", record["key"], "filled")
    override_reply("filled")


@pytest.mark.parametrize("mode", ["async", "async_local"])
def test_a_read_of_what_is_not_there_gets_what_the_function_has_fetched(captured, mode):
    """The first read already; the next ones find it."""
    place = captured
    registration = miss(place, read_through, mode)
    place.start()
    for number in range(20):
        assert place.link.call("GET", f"k:{number}") == "filled"
        assert place.link.call("GET", f"k:{number}") == "filled"
    place.wait_done(registration, 20)
    assert place.link.call("GET", "other") is None
    assert information(place.link, "geartrain")["geartrain_links_waiting"] == "0"


def test_the_record_of_a_miss_has_no_value_and_reading_it_is_no_other_miss(captured):
    """With `readValue` as without: nothing is looked for."""
    place = captured
    place.register(noting(), "k:*", eventTypes=["keymiss"])
    place.start()
    assert place.link.call("GET", "k:1") is None
    assert place.link.call("GET", "k:2") is None
    assert records(place, 2) == [
        {"key": f"k:{number}", "value": None, "type": "none", "event": "keymiss"} for number in (1, 2)
    ]


def test_what_the_function_reads_is_no_miss_of_a_client(captured):
    """GET in a function is not one of the commands that were hooked."""
    place = captured

    def look(record):
        override_reply(repr(execute("GET", record["key"])))

    registration = miss(place, look)
    place.start()
    assert place.link.call("GET", "k:1") == "None"
    assert place.wait_done(registration, 1).triggered == 1


def test_a_client_whose_execution_fails_gets_the_reply_of_its_command(captured):
    """The failure is the registration's."""
    place = captured
    registration = miss(place, lambda record: record["nothing"])
    place.start()
    begun = time.monotonic()
    assert place.link.call("GET", "k:1") is None
    assert time.monotonic() - begun < 10
    assert "KeyError" in place.wait_info(registration, lambda info: info.last_error).last_error


def test_an_error_can_be_the_reply(captured):
    """As the function words it."""
    place = captured
    miss(place, lambda _: override_reply("-BACKEND it is closed"))
    place.start()
    with pytest.raises(CommandError, match="BACKEND it is closed"):
        place.link.call("GET", "k:1")


def test_a_reply_can_be_overridden_once(captured):
    """The second time is an error in the function."""
    place = captured

    def twice(_):
        override_reply("first")
        override_reply("second")

    registration = miss(place, twice)
    place.start()
    assert place.link.call("GET", "k:1") == "first"
    assert "only once" in place.wait_info(registration, lambda info: info.last_error).last_error


def test_within_multi_the_function_runs_and_no_client_can_be_answered(captured):
    """As RedisGears has it."""
    place = captured
    registration = miss(place, lambda _: override_reply("x"))
    place.start()
    assert place.link.transaction([("GET", "k:1")]) == [None]
    error = place.wait_info(registration, lambda info: info.last_error).last_error
    assert "Can not get command ctx" in error


def test_clients_wait_for_workers_that_are_still_to_come(captured):
    """The event is in the outbox; whoever executes it answers."""
    place = captured
    miss(place, read_through)
    with Link(Endpoint(place.url)) as client:
        client.send(b"GET k:1\r\n")
        wait_for(lambda: information(place.link, "geartrain")["geartrain_links_waiting"] == "1")
        place.start()
        assert client.replies(1) == ["filled"]
