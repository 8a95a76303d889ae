"""redgrease, as it is on PyPI: its client, its remote builder, its commands."""

from __future__ import annotations

import pytest

from support.gears import redgrease

pytestmark = pytest.mark.timeout(180)


def test_a_script_gives_its_results(gears):
    """As text, as they come."""
    assert redgrease(gears, "text_results") == ["a", "b"]


def test_a_script_that_registers_is_true(gears):
    """It has no results."""
    assert redgrease(gears, "text_registers") is True


def test_errors_stand_beside_results(gears):
    """A record that a step fails on is an error; the others are results."""
    assert redgrease(gears, "text_errors") == ["1.0", 1, True]


def test_a_script_that_raises_is_an_error_of_lines(gears):
    """The client takes the message for a list of lines, and raises it."""
    assert redgrease(gears, "text_raises") == "ValueError: no\n"


def test_an_execution_that_nobody_waits_for_has_its_results_later(gears):
    """Its id, its results, its plan, its place in the list, and its end."""
    found = redgrease(gears, "unblocking")
    assert found.pop("plan")[:2] == ["done", 1]
    assert found == {
        "shard": "0" * 40,
        "results": "one",
        "again": "one",
        "listed": [["done", False]],
        "dropped": True,
        "left": [],
    }


def test_a_running_execution_is_aborted(gears):
    """While it sleeps."""
    assert redgrease(gears, "aborted") == [True, ["aborted"]]


def test_registrations_are_listed_and_removed(gears):
    """With their arguments, in the shape that the client parses."""
    found = redgrease(gears, "registrations")
    assert (found["desc"], found["mode"], found["triggered"]) == ("mine", "async", 0)
    assert (found["args"]["stream"], found["args"]["batchSize"]) == ("numbers", 3)
    assert set(found["private"]) >= {"sessionId", "depsList"}
    assert (found["unregistered"], found["left"]) == (True, ["CommandReader"])


def test_the_configuration_is_read_and_written(gears):
    """All options that the client knows, by their types; and one of the user's own."""
    found = redgrease(gears, "configuration")
    assert found["before"]["MaxExecutions"] == 1000
    assert found["before"]["ProfileExecutions"] is False
    assert found["after"] == [77, "yes"]


def test_the_server_tells_about_itself(gears):
    """Memory of the interpreter, the cluster that it is not, the version of Python."""
    assert redgrease(gears, "information") == {
        "stats": True,
        "cluster": None,
        "refresh": True,
        "python": True,
        "ping": True,
    }


def test_a_builder_runs_on_the_server(gears):
    """Its functions are pickled on one side and run on the other, where redgrease is installed; values come back."""
    assert redgrease(gears, "builder_runs") == {
        "count": 3,
        "sum": 6,
        "squares": [1, 4, 9],
        "average": 2.0,
        "by": {"key": "n:", "value": 3},
        "shards": 1,
        "generated": [2, 3],
    }


def test_a_builder_s_requirement_is_installed(gears):
    """Redgrease itself, which the client asks for."""
    assert redgrease(gears, "builder_requirements") == [["redgrease[runtime]", True]]


def test_functions_have_a_client_in_the_server(gears):
    """`redgrease.cmd`, and what redgrease takes from the runtime."""
    assert redgrease(gears, "server_side_client") == [42, "str", [1, 2]]


def test_a_builder_registers(gears):
    """The function runs in a worker, for each entry."""
    assert redgrease(gears, "builder_registers") == [True, ["0", "1", "2"]]


def test_a_function_becomes_a_command(gears):
    """Called as a function by the client; a name is taken once, unless it is to be replaced."""
    assert redgrease(gears, "commands") == ["Hello Ann!", "Ciao Bob!", "taken", "Hello Cid!", "DAN", "3"]
