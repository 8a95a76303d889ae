"""A context as the runtime gives it: a place for `at`, and an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import pytest

from geartrain.builder import GearsBuilder
from geartrain.pipeline import compile_pipeline


class Bench:
    """Runs builders' steps over records, and remembers where they were."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.at: tuple[int, object] | None = None
        self._runner = runner

    def run_async(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run it on this thread's loop."""
        return self._runner.run(coroutine)

    def __call__(self, builder: GearsBuilder, records: Iterable[Any], **options: Any) -> list[Any]:
        """Compile and run."""
        return compile_pipeline(builder.steps, **options)(records, self)


@pytest.fixture
def run() -> Iterable[Callable[..., list[Any]]]:
    """`run(builder, records)`: the results."""
    with asyncio.Runner() as runner:
        yield Bench(runner)
