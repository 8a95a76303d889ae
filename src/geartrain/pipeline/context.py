"""What a pipeline needs from whoever runs it."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from typing import Any, Protocol


class Context(Protocol):
    """One execution's context; never used by two executions at the same time.

    Attributes:
        at: the number of the step (1 is the first) and the record that are being processed, kept only by steps that
            mention a target of `compile_pipeline`; `NO_RECORD` where a step has no single record. Where the record
            gives just one result, the number of that (0 is the first) stands behind.
    """

    at: tuple[int, object] | tuple[int, object, int] | None

    def run_async(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end on this thread's event loop; returns its result or raises what it raised."""

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Wait for what a function of redisgears-1.2 returned; its result, or raises what it raised."""

    def disown(self, position: int) -> None:
        """The record that would have given the result of that number has failed: none of its commands has one."""


class _NoRecord:
    """The type of `NO_RECORD`."""

    def __repr__(self) -> str:
        return "NO_RECORD"


NO_RECORD = _NoRecord()
