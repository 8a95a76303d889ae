# ruff: noqa: ARG005, PLW0108 - the functions are the subject: how they are written decides
"""`may_notice`: no only where the functions can do nothing with a field of their records."""

from __future__ import annotations

import pytest

from geartrain.builder import GB
from geartrain.builder.steps import Kind, Step
from geartrain.pipeline.usage import may_notice, noticed, only_read

SEEN = []


def two_fields(record):
    """Other fields by name, in expressions, conditions and calls."""
    if record["event"] == "set" and record["key"].startswith("user:"):
        SEEN.append((record["type"], len(record["key"])))
    return dict.fromkeys(("a", "b"), record["key"]) if SEEN else None


def its_locals(record):
    """Gets at the record without naming it."""
    return locals()["record"]["key"]


def rebinds(record):
    """Passes the record on, under its own name."""
    record = dict(record)
    return record["key"]


def inner(record):
    """Another function sees the record."""
    return max([1], key=lambda _: record["key"])


def inner_of_value(record):
    """Takes the field itself, among others."""
    return [record["key"] for _ in (1,)] + [record["value"]]


def generator(record):
    """Does nothing before somebody asks it."""
    yield record["key"]


async def waits(record):
    """Is looked at by nobody here."""
    return record["key"]


class Callable:
    """A function that is no function."""

    def __call__(self, record):
        """As a function would."""
        return record["key"]


def step(function, kind=Kind.FOREACH):
    """A pipeline of one step."""
    return [Step(kind, (function,))]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: None,
        lambda x: x["key"],
        lambda x: x["key"] if x["type"] == "hash" else x["event"],
        lambda x: SEEN.append(x["key"]),
        two_fields,
    ],
)
def test_what_only_takes_other_fields_by_name_cannot_notice_it(function):
    """As filter or foreach, and both in a row."""
    assert not may_notice(step(function), "value")
    assert not may_notice([*step(function, Kind.FILTER), *step(function)], "value")


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x["value"],
        lambda x: x,
        lambda x: print(x),
        lambda x: str(x),
        lambda x: x.get("key"),
        lambda x: len(x),
        lambda x: x[SEEN],
        lambda x: "value" in x,
        lambda x: {**x},
        lambda x: [x["key"], x],
        lambda x: x.pop("value"),
        lambda *x: x[0]["key"],
        lambda x, y=1: x["key"],
        lambda x: eval("x"),
        its_locals,
        rebinds,
        inner,
        inner_of_value,
        generator,
        waits,
        Callable(),
        print,
    ],
)
def test_everything_else_may(function):
    """Passing the record on, keeping it, asking it in another way, or not being a plain function."""
    assert may_notice(step(function), "value")
    assert may_notice([*step(lambda x: None), *step(function)], "value")


@pytest.mark.parametrize("kind", [item for item in Kind if item not in (Kind.FILTER, Kind.FOREACH)])
def test_steps_that_make_something_of_records_may(kind):
    """What they give to the next step, or to nobody, holds the record."""
    assert may_notice(step(lambda x: None, kind), "value")


def test_a_change_of_the_field_itself_is_noticed():
    """Also one that never reads it."""

    def change(record):
        record["value"] = 1

    def remove(record):
        del record["key"]

    assert may_notice(step(change), "value")
    assert may_notice(step(remove), "value")


@pytest.mark.parametrize(
    "function", [lambda x: None, lambda x: x["value"], two_fields, lambda x: [x["key"], x["value"]]]
)
def test_taking_any_field_by_name_changes_nothing(function):
    """The record can be used again."""
    assert only_read(step(function))


@pytest.mark.parametrize(
    "function",
    [lambda x: x, lambda x: x.update(a=1), lambda x: x.pop("value"), lambda x: SEEN.append(x), rebinds, inner, print],
)
def test_all_else_may_change_or_keep_a_record(function):
    """As far as one can tell from outside."""
    assert not only_read(step(function))
    assert not only_read(step(lambda x: x["key"], Kind.MAP) + step(function))


ALL = {"key", "value", "type"}


@pytest.mark.parametrize(
    ("builder", "fields"),
    [
        (GB().count(), set()),
        (GB().limit(3).collect().count(), set()),
        (GB().map(lambda x: x["value"]), {"value"}),
        (GB().map(lambda x: 1).count(), set()),
        (GB().map(lambda x: x["key"]).distinct(), {"key"}),
        (GB().filter(lambda x: x["type"] == "hash").count(), {"type"}),
        (GB().filter(lambda x: x["type"] == "hash").map(lambda x: x["key"]), {"key", "type"}),
        (GB().foreach(lambda x: x["key"]).countby(lambda x: x["value"]), {"key", "value"}),
        (GB().avg(lambda x: x["value"]), {"value"}),
        (GB().flatmap(lambda x: [x["value"]]), {"value"}),
        (GB().repartition(lambda x: x["key"]).count(), {"key"}),
        (GB().accumulate(lambda a, r: (a or 0) + r["value"]), {"value"}),
        (GB().aggregate(0, lambda a, r: a + r["value"], lambda a, b: [a, b]), {"value"}),
        (GB().aggregateby(lambda r: r["key"], 0, lambda a, r: r["value"], lambda a, b: a), {"key", "value"}),
        (GB().groupby(lambda r: r["key"], lambda k, a, r: (a or 0) + 1), {"key"}),
        (GB().localgroupby(lambda r: r["type"], lambda k, a, r: r["value"]), {"type", "value"}),
        (GB(), ALL),
        (GB().filter(lambda x: x["key"]), ALL),
        (GB().limit(1), ALL),
        (GB().distinct(), ALL),
        (GB().sort(), ALL),
        (GB().map(lambda x: x), ALL),
        (GB().map(str), ALL),
        (GB().map(lambda x, y=0: x["key"]), ALL),
        (GB().aggregate([], lambda a, r: [*a, r], lambda a, b: a + b), ALL),
        (GB().accumulate(lambda a, r: r), ALL),
        (GB().batchgroupby(lambda r: r["key"], lambda k, records: len(records)), ALL),
    ],
)
def test_a_run_notices_the_fields_that_its_functions_take(builder, fields):
    """Up to the step that makes something else of the record; what comes out at the end is noticed as a whole."""
    assert noticed(builder.steps, ALL) == fields


def test_an_error_names_records_wherever_a_function_gets_them():
    """So what it is to show is noticed there, and only there."""
    assert noticed(GB().filter(lambda x: True).count().steps, ALL, shown=["key"]) == {"key"}
    assert noticed(GB().limit(3).count().steps, ALL, shown=["key"]) == set()
