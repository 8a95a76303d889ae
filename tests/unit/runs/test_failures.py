"""Errors that come back from a worker."""

from __future__ import annotations

import threading

import pytest

from geartrain.errors import CommandError, ForeignShard, ServerUnavailable, StepError
from geartrain.runs.failures import packed, unpacked


def travelled(error):
    """The error as it arrives."""
    return unpacked(packed(error))


class Odd(Exception):
    """Its arguments are not those that Exception keeps."""

    def __init__(self, first, second):
        self.both = (first, second)
        super().__init__(f"{first} and {second}")


class Held(Exception):
    """It cannot be pickled."""

    def __init__(self, text):
        self.lock = threading.Lock()
        super().__init__(text)


def test_a_step_error_keeps_step_record_cause_and_trace():
    """What `geartrain exec` shows of it is the same."""
    error = StepError("step 2, map(f at x.py:1)", "{'a': 1}", KeyError("a"), "Traceback ...")
    made = travelled(error)
    assert isinstance(made, StepError)
    assert (made.step, made.record, made.trace, str(made)) == (error.step, error.record, error.trace, str(error))
    assert type(made.__cause__) is KeyError
    assert made.__cause__.args == ("a",)


@pytest.mark.parametrize(
    "error",
    [
        CommandError("incr", "WRONGTYPE no"),
        ForeignShard(5, "a", "b", "tag"),
        ServerUnavailable("gone"),
        SystemExit(3),
        OSError(2, "no such file"),
        ValueError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_are_what_they_were(error):
    """Type, message, arguments and attributes."""
    made = travelled(error)
    assert (type(made), str(made), made.args, vars(made)) == (type(error), str(error), error.args, vars(error))


@pytest.mark.parametrize("error", [Odd(1, 2), Held("no lock travels")], ids=lambda error: type(error).__name__)
def test_an_error_that_cannot_travel_has_its_name_and_says_the_same(error):
    """As the cause of a step's error too."""
    made = travelled(error)
    assert (type(made).__name__, str(made)) == (type(error).__name__, str(error))
    step = StepError("step 1, map(f)", None, error, "")
    assert str(travelled(step)) == str(step)
