"""Futures and coroutines for scripts: RedisGears 1.2's names."""

from __future__ import annotations

# RedisGears' names.
# ruff: noqa: N802
import inspect
import math
from collections.abc import Coroutine
from typing import Any, NoReturn

from geartrain.errors import ArgumentError, FlatError, PauseRegistration
from geartrain.pipeline import Future
from geartrain.pipeline import Future as gearsFuture
from geartrain.runtime import background
from geartrain.runtime.threads import current, has_no_context

_PAUSE = "PAUSE"
"""RedisGears' word; nothing behind this looks at messages."""


def createFuture() -> Future:
    """A future, for a coroutine to `await`, or for a step to return; somebody sets its result later."""
    return Future()


def setFutureResults(f: Future, res: Any) -> None:
    """Let those who wait for the future go on with this result; any thread may, once.

    Raises:
        ArgumentError: `f` is no future.
        GeartrainError: it has been set before.
    """
    _future("setFutureResults", f).set_result(res)


def setFutureException(f: Future, ex: BaseException | str) -> None:
    """Let those who wait for the future go on with this error; a text is shown as it is, without a traceback.

    Raises:
        ArgumentError: `f` is no future.
        GeartrainError: it has been set before.
    """
    _future("setFutureException", f).set_exception(ex)


def runCoroutine(cr: Coroutine[Any, Any, Any], f: Future | None = None, delay: float = 0) -> None:
    """Run a coroutine on the loop on which all coroutines of steps run, and do not wait for it.

    Args:
        cr: the coroutine.
        f: a future that is given what it returns or raises; None: nobody is told (what it raises is logged).
        delay: seconds before it begins.

    Raises:
        ArgumentError: an argument that is not one of these.
    """
    if not inspect.iscoroutine(cr):
        raise ArgumentError(f"runCoroutine(cr={cr!r:.80}): cr must be a coroutine, what calling an `async def` gives")
    if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay < math.inf:
        raise ArgumentError(f"runCoroutine(delay={delay!r:.80}): delay must be a number of seconds, 0 or more")
    endpoint = background.endpoint_of_loan() if has_no_context() else current().endpoint
    background.start(cr, None if f is None else _future("runCoroutine", f), delay, endpoint)


def isAsyncAllow() -> bool:
    """Whether a step may wait for coroutines and futures here: everywhere but in the server (`mode='sync'`).

    There the server, and so every client, would wait with it.
    """
    return has_no_context() or current().can_wait


def flat_error(msg: str) -> NoReturn:
    """Fail; among the errors of the execution stands the message as it is, without a traceback.

    A message that begins with `PAUSE` pauses the registration, where the records come from streams.

    Raises:
        FlatError: always; a PauseRegistration for such a message.
    """
    message = str(msg)
    raise PauseRegistration(message) if message.startswith(_PAUSE) else FlatError(message)


def _future(call: str, value: object) -> Future:
    if not isinstance(value, Future):
        raise ArgumentError(f"{call}(f={value!r:.80}): f must be a future, what createFuture() gives")
    return value


__all__ = [
    "createFuture",
    "flat_error",
    "gearsFuture",
    "isAsyncAllow",
    "runCoroutine",
    "setFutureException",
    "setFutureResults",
]
