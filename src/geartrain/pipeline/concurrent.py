"""The steps with an `async def`: one function over all records at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from geartrain.errors import ServerUnavailable


class RecordFailed(Exception):
    """Carries a record and what its coroutine raised to where the StepError is made; nobody else sees it."""

    def __init__(self, record: object, cause: BaseException) -> None:
        self.record = record
        self.cause = cause
        super().__init__("a record's coroutine raised")


async def concurrently(
    function: Callable[[Any], Coroutine[Any, Any, Any]],
    records: Sequence[Any],
    done: Callable[[asyncio.Future[Any]], object] | None = None,
) -> list[Any]:
    """Await `function(record)` for all records at the same time; returns the results in the records' order.

    When one raises, the others are cancelled and awaited: none is left running behind. What is then raised is the
    failure of the first record, in the records' order, among those that had failed by themselves. `done` is called for
    each that has ended.

    Raises:
        RecordFailed: a coroutine raised.
        ServerUnavailable: a coroutine raised that, or something that is no Exception: it is passed on as it is.
    """
    tasks = [asyncio.ensure_future(_one(function, record)) for record in records]
    if done is not None:
        for task in tasks:
            task.add_done_callback(done)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for record, task in zip(records, tasks, strict=True):
            if task.done() and (cause := _failure(task)) is not None:
                raise _carried(record, cause)
        return [task.result() for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _one(function: Callable[[Any], Coroutine[Any, Any, Any]], record: Any) -> Any:
    """Call inside of the task, so that a failing call is that record's failure too."""
    return await function(record)


def _failure(task: asyncio.Future[Any]) -> BaseException | None:
    """What a finished task raised; its own CancelledError too."""
    if task.cancelled():
        return asyncio.CancelledError("the step's coroutine was cancelled")
    return task.exception()


def _carried(record: object, cause: BaseException) -> BaseException:
    """The form in which a failure leaves the event loop."""
    is_the_steps = isinstance(cause, (Exception, GeneratorExit, asyncio.CancelledError))
    return RecordFailed(record, cause) if is_the_steps and not isinstance(cause, ServerUnavailable) else cause
