"""The one event loop of this process for coroutines of the dialect redisgears-1.2, in a thread of its own.

All coroutines of all executions run there, so they can hand each other results. The thread of an execution that waits
for a coroutine lends it its context: what the coroutine executes goes over the execution's connection, while nobody
else uses it. When the coroutine has ended, the context is taken back from whatever it has left running, which then uses
one of the loop's own; so does what `runCoroutine` starts.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

from geartrain.errors import GeartrainError
from geartrain.pipeline import Future

if TYPE_CHECKING:
    from geartrain.runtime.surroundings import Surroundings
    from geartrain.wire import Endpoint

logger = logging.getLogger("geartrain.script")

_LOOK = 0.1
"""Seconds after which a thread that waits looks up: it may have been told to end (an exception that is set from outside
arrives only between two instructions)."""


class Loan:
    """A context that a coroutine may use; None as soon as it is taken back.

    Attributes:
        context: the context.
        endpoint: where it executes, and so whatever the coroutine has left running.
    """

    __slots__ = ("context", "endpoint")

    def __init__(self, context: Surroundings | None, endpoint: Endpoint | None) -> None:
        self.context = context
        self.endpoint = endpoint


_loan: ContextVar[Loan | None] = ContextVar("geartrain_loan", default=None)


class _Threads(threading.local):
    idle: Callable[[], AbstractContextManager[None]] = nullcontext


_threads = _Threads()


def lent() -> Surroundings | None:
    """The context that the running coroutine has borrowed; None: it has none, or this is no coroutine."""
    loan = _loan.get() if is_loop() else None
    return None if loan is None else loan.context


def endpoint_of_loan() -> Endpoint | None:
    """Where the running coroutine executes when it has no context any more; None: it is not known, or no coroutine."""
    loan = _loan.get() if is_loop() else None
    return None if loan is None else loan.endpoint


def is_loop() -> bool:
    """Whether this thread is the loop's."""
    return threading.current_thread() is _loop.thread


def while_waiting(manager: Callable[[], AbstractContextManager[None]]) -> None:
    """Have `manager()` entered by this thread whenever it waits for a coroutine or a future for longer than 0.1 s.

    For whoever has only so many threads: another one may do its work meanwhile.
    """
    _threads.idle = manager


def wait_for(awaitable: Awaitable[Any], context: Surroundings) -> Any:
    """Wait in this thread for a coroutine or a future; its result, or raises what it raised.

    Raises:
        GeartrainError: called on the loop's own thread, where it would wait for itself; or the coroutine was cancelled.
    """
    if is_loop():
        _closed(awaitable)
        raise GeartrainError(
            "a step that waits (an `async def`, a future) was executed inside of a coroutine, which would wait for"
            " itself: use `await` on what run() gives"
        )
    if isinstance(awaitable, Future):
        return _result(awaitable)
    loan = Loan(context, context.endpoint)
    task = _loop.start(_borrowing(awaitable, loan))
    try:
        return _result(task)
    except BaseException:
        if not task.done():
            # This thread is to end (it is aborted): nobody else may use its connection any more, so it is waited for.
            loan.context = None
            task.cancel()
            _loop.settle()
        raise


def _result(future: Future | concurrent.futures.Future[Any]) -> Any:
    try:
        if not _has_come(future):
            with _threads.idle():
                while not _has_come(future):
                    pass
        return future.result()
    except concurrent.futures.CancelledError:
        raise GeartrainError("the step's coroutine was cancelled") from None


def _has_come(future: Future | concurrent.futures.Future[Any]) -> bool:
    """Whether there is a result, or an error, within a moment."""
    try:
        future.result(_LOOK)
    except concurrent.futures.CancelledError:
        return True
    except Exception:  # noqa: BLE001 - it is raised by whoever asks for the result; or there is none yet
        return future.done()
    return True


async def _borrowing(awaitable: Awaitable[Any], loan: Loan) -> Any:
    _loan.set(loan)
    try:
        return await awaitable
    finally:
        # Here, on the loop: what the coroutine has left running may come next.
        loan.context = None


def start(coroutine: Coroutine[Any, Any, Any], done: Future | None, delay: float, endpoint: Endpoint | None) -> None:
    """Run a coroutine on the loop after so many seconds; `done` is given what comes of it.

    It executes at `endpoint`, over a connection of the loop's own; None: where this process does.
    """
    _loop.start(_later(coroutine, done, delay, endpoint))


async def _later(
    coroutine: Coroutine[Any, Any, Any], done: Future | None, delay: float, endpoint: Endpoint | None
) -> None:
    _loan.set(Loan(None, endpoint))
    if delay:
        await asyncio.sleep(delay)
    try:
        result = await coroutine
    except Exception as error:
        if done is None:
            logger.warning("a coroutine that runCoroutine() started raised: %s", error, exc_info=error)
        else:
            done.set_exception(error)
    else:
        if done is not None:
            done.set_result(result)


def _closed(awaitable: Awaitable[Any]) -> None:
    if isinstance(awaitable, Coroutine):
        awaitable.close()


class _Loop:
    """The loop; it begins with the first coroutine, and ends with the process."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> concurrent.futures.Future[Any]:
        """Run a coroutine with this thread's context variables; the future of its result."""
        loop = self._running()
        outcome: concurrent.futures.Future[Any] = concurrent.futures.Future()
        variables = copy_context()

        def begin() -> None:
            task = loop.create_task(coroutine, context=variables)
            task.add_done_callback(lambda ended: _pass_on(ended, outcome))
            outcome.add_done_callback(lambda _: loop.call_soon_threadsafe(task.cancel))

        loop.call_soon_threadsafe(begin)
        return outcome

    def settle(self) -> None:
        """Wait until what runs on the loop at this moment has given way."""
        settled: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._running().call_soon_threadsafe(settled.set_result, None)
        while not settled.done():
            _has_come(settled)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self.thread = threading.Thread(target=self._loop.run_forever, name="geartrain-async", daemon=True)
                self.thread.start()
            return self._loop


def _pass_on(task: asyncio.Task[Any], outcome: concurrent.futures.Future[Any]) -> None:
    if outcome.cancelled():
        if not task.cancelled():
            task.exception()
        return
    if task.cancelled():
        outcome.cancel()
        return
    error = task.exception()
    if error is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())


_loop = _Loop()
