"""Steps with an `async def`: all records at the same time, results in order, no coroutine left behind."""

from __future__ import annotations

# a step's function takes what the step gives it
import asyncio
import functools
from typing import Any

import pytest

from geartrain.builder import GB
from geartrain.errors import ServerUnavailable, StepError


class Meeting:
    """Lets coroutines go on only when all of them have come: none would, were they run one by one."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.here = 0
        self.complete: asyncio.Event | None = None

    async def wait(self) -> None:
        """Come, and wait for the others."""
        self.complete = self.complete or asyncio.Event()
        self.here += 1
        if self.here == self.size:
            self.complete.set()
        await asyncio.wait_for(self.complete.wait(), 10)


def test_all_records_run_at_the_same_time_and_results_keep_their_order(run: Any) -> None:
    """Even where the last one is ready first."""
    meeting = Meeting(3)
    ready: list[int] = []
    turn: list[asyncio.Event] = []

    async def later_ones_first(x: int) -> int:
        turn[:] = turn or [asyncio.Event() for _ in range(4)]
        await meeting.wait()
        if x < 2:
            await turn[x + 1].wait()
        ready.append(x)
        turn[x].set()
        return x * 10

    assert run(GB().map(later_ones_first), [0, 1, 2]) == [0, 10, 20]
    assert ready == [2, 1, 0]


async def odd(x: int) -> bool:
    """A verdict."""
    await asyncio.sleep(0)
    return x % 2 == 1


async def twice(x: int) -> Any:
    """A list, and for 3 something else."""
    return [x, x] if x != 3 else (x, x)


def test_each_kind_of_step_does_with_the_results_what_it_does_without_async(run: Any) -> None:
    """map, filter, flatmap, foreach; also partials and objects."""
    seen: list[int] = []

    async def see(x: int) -> str:
        seen.append(x)
        return "dropped"

    class Caller:
        async def __call__(self, x: int) -> int:
            return x + 1

    async def add(y: int, x: int) -> int:
        return x + y

    records = [1, 2, 3]
    assert run(GB().filter(odd), records) == [1, 3]
    assert run(GB().flatmap(twice), records) == [1, 1, 2, 2, (3, 3)]
    assert run(GB().foreach(see), records) == records == seen
    assert run(GB().map(Caller()).map(functools.partial(add, 5)), records) == [7, 8, 9]


def test_plain_steps_around_an_async_one_run_record_by_record(run: Any) -> None:
    """Those before it are done for all records before it starts, those after it start when it is done."""
    events: list[Any] = []

    async def step(x: int) -> int:
        events.append(("async", x))
        return x

    builder = GB().foreach(lambda x: events.append(("before", x))).map(step)
    run(builder.foreach(lambda x: events.append(("after", x))).limit(1), [1, 2])
    assert events == [("before", 1), ("before", 2), ("async", 1), ("async", 2), ("after", 1)]


def test_async_steps_follow_each_other_and_take_no_records_too(run: Any) -> None:
    """With and without results."""
    assert run(GB().filter(odd).map(twice).count(), [1, 2, 3]) == [2]
    assert run(GB().map(twice).filter(odd), []) == []
    assert run(GB().map(twice), [1], discard=True) == []


def test_a_failure_names_its_record_and_ends_the_others(run: Any) -> None:
    """They are cancelled, and awaited to their end."""
    ended: list[Any] = []

    async def step(x: int) -> None:
        if x == 2:
            await asyncio.sleep(0)
            raise ValueError("two")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(x)

    with pytest.raises(StepError, match="ValueError: two on record 2") as caught:
        run(GB().map(lambda x: x).foreach(step), [1, 2, 3])
    assert caught.value.step.startswith("step 2, foreach(step at test_pipeline_async.py:")
    assert sorted(ended) == [1, 3]
    assert "raise ValueError" in caught.value.trace
    assert "concurrent.py" not in caught.value.trace


def test_of_several_failures_the_first_records_is_reported(run: Any) -> None:
    """Not the one that came first in time by chance."""

    async def step(x: int) -> None:
        raise ValueError(x)

    with pytest.raises(StepError) as caught:
        run(GB().foreach(step), [3, 1, 2])
    assert caught.value.record == "3"


def test_a_failure_while_being_cancelled_is_not_the_one_reported(run: Any) -> None:
    """It is a consequence."""

    async def step(x: int) -> None:
        if x == 2:
            await asyncio.sleep(0)
            raise ValueError("cause")
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("consequence")

    with pytest.raises(StepError, match="cause"):
        run(GB().foreach(step), [1, 2])


@pytest.mark.parametrize(
    "error", [StopIteration(), GeneratorExit(), asyncio.CancelledError("by itself"), TimeoutError()]
)
def test_what_ends_coroutines_is_an_error_of_the_step(error: BaseException, run: Any) -> None:
    """Python turns a StopIteration into a RuntimeError that has it as its cause."""

    async def step(x: int) -> None:
        raise error

    with pytest.raises(StepError) as caught:
        run(GB().foreach(step), [1])
    cause = caught.value.__cause__
    assert isinstance(cause, type(error)) or cause.__cause__ is error  # type: ignore[union-attr]
    assert caught.value.record == "1"


def test_a_call_that_fails_before_there_is_a_coroutine_is_that_records_failure(run: Any) -> None:
    """Too few arguments, say."""

    async def step(x: int, y: int) -> None: ...

    with pytest.raises(StepError, match=r"TypeError.*on record 1"):
        run(GB().foreach(step), [1])


def test_a_wrong_result_of_an_async_filter_is_an_error_of_the_step(run: Any) -> None:
    """Its truth cannot be told."""

    class Neither:
        def __bool__(self) -> bool:
            raise ArithmeticError("neither")

    async def verdict(x: int) -> Neither:
        return Neither()

    with pytest.raises(StepError, match="step 1, filter"):
        run(GB().filter(verdict), [1])


@pytest.mark.parametrize("error", [ServerUnavailable("gone"), KeyboardInterrupt(), SystemExit(3)])
def test_passing_trouble_and_interrupts_go_through_as_they_are(error: BaseException, run: Any) -> None:
    """As from plain steps."""

    async def step(x: int) -> None:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(type(error)) as caught:
        run(GB().foreach(step), [1, 2])
    assert not isinstance(caught.value, StepError)
