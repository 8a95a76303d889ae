# ruff: noqa: ARG005, PLW0108, PLW0603 - the functions are the subject: how they are written decides
"""`may_leave_something`: no only where the functions reach nothing that they could change."""

from __future__ import annotations

import functools
import json
import math

import pytest

from geartrain import execute
from geartrain.builder import GB
from geartrain.pipeline.sharing import may_leave_something

SEEN = []
RATE = 3
NAMES = ("a", ("b", 1))
COUNT = 0


def counts(record):
    """Assigns a global variable."""
    global COUNT
    COUNT += 1


def appends(record):
    """Reaches a list."""
    SEEN.append(record)


def appends_at_last(record):
    """By way of another function."""
    return [appends(each) for each in (record,)]


def closure(kept):
    """A function that holds something."""
    return lambda record: (kept, record)


def counter():
    """A function that counts in its closure."""
    count = 0

    def counted(record):
        nonlocal count
        count += 1
        return count

    return counted


def inner(record):
    """Assigns variables of its own, also in a function of its own."""
    total = [0]

    def add(number):
        total.append(number)

    for number in range(RATE):
        add(number)
    return sum(total)


class Caller:
    """An object that is called."""

    def __call__(self, record):
        """Of one argument."""
        return record


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x["value"],
        lambda x: int(x["value"]) * RATE,
        lambda x: json.loads(x["value"])[NAMES[0]],
        lambda x: math.sqrt(x),
        lambda x: execute("incr", x["key"]),
        inner,
        closure("text"),
        closure(inner),
        str,
        len,
    ],
)
def test_functions_of_their_arguments_leave_nothing(function):
    """Data that cannot change, modules, and functions that are as harmless."""
    assert not may_leave_something(GB().map(function).steps)


@pytest.mark.parametrize(
    "function",
    [
        counts,
        appends,
        appends_at_last,
        closure([]),
        closure(appends),
        closure(Caller()),
        counter(),
        SEEN.append,
        lambda x, kept=[]: kept.append(x),
        lambda x: [SEEN for _ in range(3)],
        functools.partial(appends),
        Caller(),
    ],
)
def test_functions_that_reach_what_can_change_may_leave_something(function):
    """Lists, objects, variables of modules and of functions around them."""
    assert may_leave_something(GB().map(lambda x: x).foreach(function).steps)
