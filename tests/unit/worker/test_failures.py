"""The log of failed executions."""

from __future__ import annotations

import logging

import pytest

from geartrain.worker.failures import INTERVAL, TRACE_INTERVAL, FailureLog

TRACE = "Traceback ...\nValueError: no luck\n"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock():
    """At some time."""
    return Clock()


@pytest.fixture
def told(caplog, clock):
    """Makes a failure happen; returns the lines that were logged for it."""
    log = FailureLog(clock)
    caplog.set_level(logging.WARNING, "geartrain.worker")

    def fail(registration="r"):
        caplog.clear()
        log.failed(registration, "s", "failed", "no luck", TRACE)
        return [record.getMessage() for record in caplog.records]

    return fail


def test_the_first_failure_is_told_at_once_with_its_traceback(told):
    """Nobody should have to wait for it, or look elsewhere."""
    assert told() == ["r on s failed: no luck\nTraceback ...\nValueError: no luck"]


def test_a_flood_is_one_line_in_each_interval_and_none_is_uncounted(told, clock):
    """A stream of bad records must not fill the disk."""
    told()
    assert [told() for _ in range(50)] == [[]] * 50
    clock.now += INTERVAL
    assert told() == ["r on s failed: no luck (and 50 more since the last line)"]


def test_the_traceback_comes_again_after_a_while(told, clock):
    """Whoever begins to look at the log finds one."""
    told()
    clock.now += TRACE_INTERVAL
    assert "Traceback" in told()[0]


def test_registrations_do_not_silence_each_other(told):
    """Each has its own line."""
    told("a")
    assert len(told("b")) == 1
