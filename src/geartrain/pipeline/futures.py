"""What a function may return instead of a value: a future, whose result comes later and from elsewhere.

Only pipelines of the dialect redisgears-1.2 wait for one; elsewhere it is a value like any other.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Generator
from types import CoroutineType
from typing import Any

from geartrain.errors import FlatError, GeartrainError

_SET = "the future has its result already: it can be set once"


class Future:
    """A value that is set later, by any thread; a coroutine can `await` it, and a step can return it.

    It has no loop: coroutines of several loops, and threads, may wait for the same one.
    """

    def __init__(self) -> None:
        self._value: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def set_result(self, result: Any) -> None:
        """Let those who wait go on with this value.

        Raises:
            GeartrainError: it has a result, or an error, already.
        """
        try:
            self._value.set_result(result)
        except concurrent.futures.InvalidStateError:
            raise GeartrainError(_SET) from None

    def set_exception(self, error: BaseException | str) -> None:
        """Let those who wait go on with this error; a text is the error as it is, without a traceback.

        Raises:
            GeartrainError: it has a result, or an error, already.
        """
        try:
            self._value.set_exception(error if isinstance(error, BaseException) else FlatError(str(error)))
        except concurrent.futures.InvalidStateError:
            raise GeartrainError(_SET) from None

    def continueRun(self, record: Any) -> None:  # noqa: N802 - RedisGears' name
        """As `set_result`: the step that returned the future gives this."""
        self.set_result(record)

    def continueFailed(self, message: str) -> None:  # noqa: N802 - RedisGears' name
        """As `set_exception`: the step that returned the future fails with this message."""
        self.set_exception(str(message))

    continueFail = continueFailed  # noqa: N815 - clients' name for it

    def done(self) -> bool:
        """Whether it has been set."""
        return self._value.done()

    def result(self, timeout: float | None = None) -> Any:
        """The value, waited for in this thread; raises what was set, or TimeoutError after so many seconds."""
        return self._value.result(timeout)

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.shield(asyncio.wrap_future(self._value)).__await__()

    def __reduce__(self) -> Any:
        raise TypeError("a future belongs to this process: it can be neither pickled nor copied")


class Running(Future):
    """What `run()` gives in a step: the future (results, errors) of an execution that is under way."""


AWAITED: frozenset[type] = frozenset({CoroutineType, Future, Running})
"""The types of what pipelines of redisgears-1.2 wait for."""
