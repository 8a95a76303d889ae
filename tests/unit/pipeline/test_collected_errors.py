"""Pipelines of the dialect redisgears-1.2: a record that fails costs itself alone; what a step returns is awaited."""

from __future__ import annotations

# ruff: noqa: ARG005  # step functions take what steps give
import asyncio
import pickle
import threading
from collections.abc import Awaitable
from typing import Any

import pytest

from geartrain.builder import GB
from geartrain.config import Dialect
from geartrain.errors import FlatError, ServerUnavailable, StepError
from geartrain.pipeline import Collected, Future, Pipeline, RecordError, compile_pipeline


class Bench:
    """A context that waits on a loop of its own."""

    def __init__(self) -> None:
        self.at: Any = None

    def run_async(self, coroutine: Any) -> Any:
        """Not used in this dialect."""
        raise AssertionError(coroutine)

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Wait for it."""

        async def waiting() -> Any:
            return await awaitable

        return asyncio.run(waiting())

    def disown(self, position: int) -> None:
        """Nothing is put off here."""


def compiled(builder: GB, **options: Any) -> Pipeline:
    """A pipeline of the old dialect."""
    return compile_pipeline(builder.steps, dialect=Dialect.REDISGEARS_1_2, **options)


def collect(builder: GB, records: Any, **options: Any) -> Collected:
    """The results and errors of a builder's steps."""
    return compiled(builder, **options).collect(records, Bench())


def lasts(collected: Collected) -> list[str]:
    """The errors, each without its traceback."""
    return [error.last for error in collected.errors]


def inverse(number: float) -> float:
    """Fails on 0."""
    return 10 / number


def test_a_record_whose_step_raises_is_dropped_and_the_others_go_on() -> None:
    """Whatever the step; the errors stand in the order in which they happened."""
    found = collect(GB().map(inverse).filter(lambda x: x > 1).foreach(lambda x: {5: 1}[x]).map(int), [0, 2, 1, 0, 100])
    assert found.results == [5]
    assert lasts(found) == [
        "ZeroDivisionError: division by zero",
        "KeyError: 10.0",
        "ZeroDivisionError: division by zero",
    ]


def test_an_item_of_a_flatmap_fails_alone() -> None:
    """Those of the same record that come before and behind it are results."""
    found = collect(GB().flatmap(lambda x: [x, 0, x + 1]).map(inverse), [1, 4])
    assert found.results == [10, 5, 2.5, 2]
    assert len(found.errors) == 2


def test_an_error_tells_step_record_and_the_users_lines() -> None:
    """As Geartrain shows it, and as RedisGears did: the `str` of the list of lines, or the last one alone."""
    (error,) = collect(GB().map(int).map(inverse), ["0"]).errors
    assert error.message.startswith("step 2, map(inverse at test_collected_errors.py:")
    assert error.message.endswith("raised ZeroDivisionError: division by zero on record 0")
    assert error.text() == str(list(error.lines))
    assert error.lines[0] == "Traceback (most recent call last):\n"
    assert "in inverse\n" in error.lines[1]
    assert "geartrain pipeline" not in error.trace
    assert error.lines[-1] == "ZeroDivisionError: division by zero\n"
    assert error.text(traceback=False) == "ZeroDivisionError: division by zero"
    assert pickle.loads(pickle.dumps(error)) == error


def test_a_flat_error_is_its_message() -> None:
    """With or without tracebacks."""

    def refuse(_: Any) -> None:
        raise FlatError("no more of these")

    (error,) = collect(GB().foreach(refuse), [1]).errors
    assert error.text() == error.text(traceback=False) == "no more of these"


def test_a_lost_server_is_no_error_of_a_record() -> None:
    """It ends the execution, and so does what is no Exception."""

    def lose(_: Any) -> None:
        raise ServerUnavailable("away")

    def leave(_: Any) -> None:
        raise KeyboardInterrupt

    for step, kind in ((lose, ServerUnavailable), (leave, KeyboardInterrupt)):
        with pytest.raises(kind):
            collect(GB().foreach(step), [1])


def test_called_as_others_a_pipeline_raises_the_first_error_when_all_records_went_through() -> None:
    """For whoever wants to know only whether all went well."""
    seen: list[Any] = []
    with pytest.raises(StepError, match="division by zero"):
        compiled(GB().foreach(seen.append).map(inverse))([0, 1, "x", 2], Bench())
    assert seen == [0, 1, "x", 2]


def test_what_collects_nothing_raises_at_once_and_awaits_all_the_same() -> None:
    """For a function that runs in the place of a command."""

    async def later(record: Any) -> Any:
        return record + 1

    pipeline = compiled(GB().map(later).map(inverse), collects=False)
    assert pipeline.function([1], Bench()) == [5]
    with pytest.raises(ZeroDivisionError):
        pipeline.function([-1, 1], Bench())


def test_coroutines_and_futures_are_awaited_whoever_returns_them() -> None:
    """An `async def`, a plain function that returns a coroutine or a future; each record before the next one."""
    order: list[Any] = []

    async def later(record: Any) -> Any:
        order.append(("begin", record))
        await asyncio.sleep(0)
        order.append(("end", record))
        return record

    def future(record: Any) -> Any:
        made = Future()
        threading.Timer(0.01, made.continueRun, [record * 10]).start()
        return made

    async def even(record: Any) -> bool:
        return record % 20 == 0

    async def twice(record: Any) -> list[Any]:
        return [record, record]

    found = collect(
        GB()
        .map(later)
        .map(future)
        .filter(lambda x: even(x) if x else False)
        .flatmap(twice)
        .foreach(lambda x: later("f")),
        [1, 2],
    )
    assert found == ([20, 20], [])
    assert order[:4] == [("begin", 1), ("end", 1), ("begin", 2), ("end", 2)]
    assert len(order) == 8


def test_what_an_awaited_step_raises_is_its_records_error() -> None:
    """Also where a future is set to fail; a text is the error as it is."""

    async def later(record: Any) -> Any:
        return inverse(record)

    def future(record: Any) -> Any:
        made = Future()
        made.continueFailed(f"{record} is refused")
        return made

    found = collect(GB().map(later).map(future), [0, 1])
    assert lasts(found) == ["ZeroDivisionError: division by zero", "10.0 is refused"]
    assert found.errors[1].text() == "10.0 is refused"


def test_results_become_text_in_a_last_step_whose_failure_is_a_records_own() -> None:
    """`convertToStr`."""

    class Mute:
        def __str__(self) -> str:
            raise ValueError("silent")

    found = collect(GB(), [1, "a", Mute(), None, {"k": b"v"}], convert=True)
    assert found.results == ["1", "a", "None", "{'k': b'v'}"]
    assert found.errors[0].message.startswith("step 1, map(str) raised ValueError: silent")


def pairs(odd: Any, even: Any) -> list[dict[str, Any]]:
    """What a grouping by `odd` gives for 1, 2, 3."""
    return [{"key": 1, "value": odd}, {"key": 0, "value": even}]


def odd(record: int) -> int:
    """A key."""
    return record % 2


GROUPING: list[tuple[Any, Any]] = [
    (GB().accumulate(lambda a, r: (a or 0) + r), [6]),
    (GB().count(), [3]),
    (GB().countby(odd), pairs(2, 1)),
    (GB().groupby(odd, lambda k, a, r: (k, (a or (0, 0))[1] + r)), pairs((1, 4), (0, 2))),
    (GB().batchgroupby(odd, lambda k, records: (k, records)), pairs((1, [1, 3]), (0, [2]))),
    (GB().aggregate([], lambda a, r: [*a, r], lambda a, p: a + p), [[1, 2, 3]]),
    (
        GB().aggregateby(odd, [], lambda k, a, r: [*a, (k, r)], lambda k, a, p: [*a, k, *p]),
        pairs([1, (1, 1), (1, 3)], [0, (0, 2)]),
    ),
    (GB().avg(), [2.0]),
    (GB().sort(), [3, 2, 1]),
    (GB().distinct().limit(2), [1, 2]),
]


@pytest.mark.parametrize(("builder", "expected"), GROUPING, ids=lambda _: "")
def test_steps_that_take_all_records_give_what_redisgears_gave(builder: Any, expected: Any) -> None:
    """Groups are `{'key', 'value'}`; of no records there is no result."""
    assert collect(builder, [1, 2, 3]) == (expected, [])
    assert collect(builder, []) == ([], [])


def test_accumulators_are_not_changed_by_a_record_that_fails() -> None:
    """It is as if it had not been there."""
    for builder in (
        GB().accumulate(lambda a, r: (a or 0) + inverse(r)),
        GB().aggregate(0, lambda a, r: a + inverse(r), lambda a, p: a + p),
        GB().avg(inverse),
        GB().map(inverse).sort(),
    ):
        found = collect(builder, [0, 1, 0])
        assert found.results == [10]
        assert len(found.errors) == 2


def test_a_group_that_fails_costs_itself_alone() -> None:
    """Its reducer, or the second function of aggregateby, raised; other steps lose all that they had."""
    by_key = GB().batchgroupby(lambda r: r, lambda k, _: inverse(k))
    assert collect(by_key, [0, 1]).results == [{"key": 1, "value": 10}]
    by_part = GB().aggregateby(lambda r: r, 0, lambda k, a, r: r, lambda k, a, p: inverse(p))
    assert collect(by_part, [0, 1]).results == [{"key": 1, "value": 10}]
    mixed = collect(GB().sort(), [1, "a"])
    assert mixed.results == []
    assert len(mixed.errors) == 1


def test_aggregates_await() -> None:
    """The functions of aggregate and aggregateby may be coroutine functions."""

    async def add(a: Any, r: Any) -> Any:
        await asyncio.sleep(0)
        return a + inverse(r)

    async def join(a: Any, part: Any) -> Any:
        return a + part

    builder = GB()
    builder._steps = [*GB().aggregate(0, max, max).steps]
    builder._steps[0] = type(builder._steps[0])(builder._steps[0].kind, (add, join), {"zero": 0})
    found = collect(builder, [1, 0, 2])
    assert (found.results, len(found.errors)) == ([15], 1)


def test_many_flatmaps_nest_within_what_python_allows() -> None:
    """Each loop has a `try` of its own, of which CPython allows twenty in each other."""
    builder = GB()
    for _ in range(30):
        builder.flatmap(lambda x: [x])
    assert collect(builder.map(inverse), [1, 0, 2]).results == [10, 5]


def test_a_limit_stops_reading_where_records_fail() -> None:
    """The records that failed before it do not count."""
    taken = iter([0, 1, 0, 2, 5])
    assert collect(GB().map(inverse).limit(2), taken).results == [10, 5]
    assert list(taken) == [5]


def test_errors_can_be_made_of_anything_that_was_raised() -> None:
    """An exception that is no step's: its own lines."""
    error = RecordError.of(ValueError("x"))
    assert (error.message, error.last) == ("ValueError: x", "ValueError: x")
