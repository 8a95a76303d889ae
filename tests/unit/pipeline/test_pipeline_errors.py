"""A step that raises says which step, which record, and where in the user's code."""

from __future__ import annotations

# ruff: noqa: ARG005  # a step's function takes what the step gives it
import functools
from typing import Any

import pytest

from geartrain.builder import GB
from geartrain.errors import ServerUnavailable, StepError
from geartrain.pipeline import NO_RECORD, compile_pipeline


def fails(*_: Any) -> Any:
    """Raise."""
    raise ValueError("no good")


def through(x: Any) -> Any:
    """Raise one frame further in."""
    return fails(x)


def picky(x: Any) -> Any:
    """Raise for 3 only."""
    return fails(x) if x == 3 else x


RECORDS = [1, 2, 3, 4]
FAILING = [
    (GB().map(str).map(int).map(picky), "step 3, map(picky at ", "3"),
    (GB().filter(picky), "step 1, filter(picky at ", "3"),
    (GB().foreach(picky), "step 1, foreach(picky at ", "3"),
    (GB().flatmap(lambda x: [x, 3]).flatmap(picky), "step 2, flatmap(picky at ", "3"),
    (GB().accumulate(lambda acc, x: picky(x)), "step 1, accumulate(<lambda> at ", "3"),
    (GB().groupby(picky, fails), "step 1, groupby(picky at ", "1"),
    (GB().groupby(lambda x: [x], fails), "step 1, groupby(<lambda> at ", "1"),
    (GB().localgroupby(picky, lambda k, acc, x: x), "step 1, localgroupby(picky at ", "3"),
    (GB().batchgroupby(picky, fails), "step 1, batchgroupby(picky at ", "3"),
    (GB().batchgroupby(str, fails), "step 1, batchgroupby(str, fails at ", None),
    (GB().aggregate(0, fails, fails), "step 1, aggregate(fails at ", "1"),
    (GB().aggregate(0, max, fails), "step 1, aggregate(max, fails at ", None),
    (GB().aggregateby(str, 0, fails, max), "step 1, aggregateby(str, fails at ", "1"),
    (GB().aggregateby(str, 0, max, fails), "step 1, aggregateby(str, max, fails at ", None),
    (GB().countby(picky), "step 1, countby(picky at ", "3"),
    (GB().avg(picky), "step 1, avg(picky at ", "3"),
    (GB().map(lambda x: [x, "a"]).flatmap(lambda x: x).sort(), "step 3, sort(reverse=True)", None),
    (GB().repartition(picky), "step 1, repartition(picky at ", "3"),
    (GB().limit(4).count().map(fails), "step 3, map(fails at ", "4"),
    (GB().map(functools.partial(fails, 1)), "step 1, map(partial of fails at ", "1"),
]


@pytest.mark.parametrize(("builder", "step", "record"), FAILING)
def test_the_error_names_the_step_and_its_record(builder: GB, step: str, record: str | None, run: Any) -> None:
    """Whatever the step, at whatever place; None where it had no single record."""
    with pytest.raises(StepError) as caught:
        run(builder, RECORDS)
    assert caught.value.step.startswith(step)
    assert caught.value.record == record
    assert isinstance(caught.value.__cause__, (ValueError, TypeError))
    assert type(caught.value.__cause__).__name__ in str(caught.value)


def test_the_step_says_where_its_function_was_written() -> None:
    """File and line, as a user finds it."""
    code = compile("f = lambda x: x\n\ndef g(x):\n    return x\n", "/home/me/shop.py", "exec")
    names: dict[str, Any] = {}
    exec(code, names)
    pipeline = compile_pipeline(GB().map(names["f"]).foreach(names["g"]).map(len).limit(5).steps)
    assert [pipeline.describe(number) for number in (1, 2, 3, 4)] == [
        "step 1, map(<lambda> at shop.py:1)",
        "step 2, foreach(g at shop.py:3)",
        "step 3, map(len)",
        "step 4, limit(length=5, start=0)",
    ]


def test_a_callable_object_is_named_by_its_class() -> None:
    """It has no name of its own."""

    class Adder:
        def __call__(self, x: int) -> int:
            return x + 1

    assert compile_pipeline(GB().map(Adder()).steps).describe(1) == "step 1, map(Adder object)"


def test_the_trace_holds_the_users_frames_only(run: Any) -> None:
    """Down to the line that raised, without ours and without generated code."""
    with pytest.raises(StepError) as caught:
        run(GB().map(through), [1])
    trace = caught.value.trace
    assert trace.startswith("Traceback (most recent call last):\n")
    assert trace.endswith("ValueError: no good\n")
    assert [line.split()[-1] for line in trace.splitlines() if line.startswith("  File")] == ["through", "fails"]
    assert "geartrain pipeline" not in trace


def test_the_trace_shows_what_led_to_the_error(run: Any) -> None:
    """Chained errors too."""

    def chained(x: Any) -> Any:
        try:
            fails(x)
        except ValueError as error:
            raise KeyError("outer") from error

    with pytest.raises(StepError) as caught:
        run(GB().map(chained), [1])
    assert "ValueError: no good" in caught.value.trace
    assert "KeyError: 'outer'" in caught.value.trace


def test_an_endless_recursion_is_reported_at_bounded_length(run: Any) -> None:
    """Also where two functions call each other."""

    def ping(x: Any) -> Any:
        return pong(x)

    def pong(x: Any) -> Any:
        return ping(x)

    with pytest.raises(StepError, match="RecursionError") as caught:
        run(GB().map(ping), [1])
    assert caught.value.trace.count("\n") < 200


class Unshowable:
    """A record whose `repr` raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


@pytest.mark.parametrize(
    "record",
    [
        *(Unshowable(), [Unshowable()], "x" * 10**6, b"x" * 10**6, list(range(10**5)), {"k" * 500: {"a": "b" * 999}}),
        *(10**5000, {i: [i] * 50 for i in range(50)}, ({}, set(), None), "ä" * 500),
    ],
    ids=lambda record: type(record).__name__,
)
def test_any_record_can_be_reported(record: Any, run: Any) -> None:
    """Shortened, whatever it is."""
    with pytest.raises(StepError) as caught:
        run(GB().map(fails), [record])
    assert caught.value.record is not None
    assert 0 < len(caught.value.record) <= 200


def test_an_error_that_cannot_say_itself_is_reported(run: Any) -> None:
    """Its `__str__` raises."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("mute")

    def raises(_: Any) -> None:
        raise Mute

    with pytest.raises(StepError, match="raised Mute: "):
        run(GB().map(raises), [1])


@pytest.mark.parametrize("error", [StopIteration("done"), GeneratorExit(), StopAsyncIteration()])
def test_an_error_that_python_ends_loops_with_is_an_error_of_the_step(error: BaseException, run: Any) -> None:
    """Never the silent end of the data."""

    def raises(_: Any) -> Any:
        raise error

    builders = [GB().map(raises), GB().filter(raises), GB().flatmap(raises), GB().accumulate(lambda a, x: raises(x))]
    builders += [GB().batchgroupby(str, lambda k, r: raises(k)), GB().aggregateby(str, 0, max, lambda a, p: raises(a))]
    for builder in builders:
        with pytest.raises(StepError) as caught:
            run(builder, [1, 2])
        assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [ServerUnavailable("gone"), KeyboardInterrupt(), SystemExit(3)])
def test_passing_trouble_and_interrupts_go_through_as_they_are(error: BaseException, run: Any) -> None:
    """They are no fault of the step."""

    def raises(_: Any) -> Any:
        raise error

    with pytest.raises(type(error)) as caught:
        run(GB().map(raises), [1])
    assert caught.value is error


def test_what_the_source_raises_goes_through_as_it_is(run: Any) -> None:
    """No step is to blame."""

    def source() -> Any:
        yield 1
        raise LookupError("source")

    with pytest.raises(LookupError, match="source"):
        run(GB().map(lambda x: x), source())


def test_a_pipeline_inside_of_a_step_reports_both(run: Any) -> None:
    """The outer step's error has the inner one as its cause."""
    inner = compile_pipeline(GB().foreach(fails).steps)
    with pytest.raises(StepError, match="map") as caught:
        run(GB().map(lambda x: inner([x + 1], run)), [1])
    assert isinstance(caught.value.__cause__, StepError)
    assert (caught.value.record, caught.value.__cause__.record) == ("1", "2")


def test_step_error_serves_whoever_finds_a_failure_later() -> None:
    """A deferred command's reply, say."""
    pipeline = compile_pipeline(GB().map(str).foreach(fails).steps)
    cause = RuntimeError("late")
    error = pipeline.step_error(2, {"a": 1}, cause)
    assert error.step.startswith("step 2, foreach(fails at test_pipeline_errors.py:")
    assert error.record == "{'a': 1}"
    assert error.__cause__ is cause
    assert pipeline.step_error(1, NO_RECORD, cause).record is None
    assert pipeline.step_error(1, None, cause).record == "None"


def test_a_late_failure_keeps_the_step_and_record_it_belongs_to(run: Any) -> None:
    """A command that an earlier record put off is refused while a later record's step sends it."""
    pending: list[int] = []

    def sends(x: int) -> None:
        pending.append(x)
        if len(pending) == 3:
            raise pipeline.step_error(1, pending[0], RuntimeError("refused"))

    pipeline = compile_pipeline(GB().foreach(sends).steps)
    with pytest.raises(StepError, match="RuntimeError: refused on record 1") as caught:
        pipeline([1, 2, 3], run)
    assert isinstance(caught.value.__cause__, RuntimeError)
