"""What a pipeline needs from whoever runs it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol


class Context(Protocol):
    """One execution's context; never used by two executions at the same time.

    Attributes:
        at: the number of the step (1 is the first) and the record that are being processed, kept only by steps that
            mention a target of `compile_pipeline`; `NO_RECORD` where a step has no single record.
    """

    at: tuple[int, object] | None

    def run_async(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end on this thread's event loop; returns its result or raises what it raised."""


class _NoRecord:
    """The type of `NO_RECORD`."""

    def __repr__(self) -> str:
        return "NO_RECORD"


NO_RECORD = _NoRecord()
