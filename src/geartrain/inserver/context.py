"""What surrounds a step that runs in the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any

import _geartrain
from geartrain.runtime import CallSites
from geartrain.wire import Argument


class ServerContext:
    """The one context of the server's main thread: commands are calls, and none is put off.

    Attributes:
        at: kept by no pipeline here, as no command is put off.
        stream: the name of the stream that the running execution's records come from, or None.
        tail_calls: none.
    """

    def __init__(self) -> None:
        self.at: tuple[int, object] | tuple[int, object, int] | None = None
        self.stream: str | bytes | None = None
        self.tail_calls: CallSites = CallSites()
        self.execute = _geartrain.call
        self._runner: asyncio.Runner | None = None

    def defer(self, command: str | bytes, args: tuple[Argument, ...]) -> None:
        """Run a command, at once."""
        self.execute(command, args)

    def hashtag(self) -> str:
        """A tag of this shard."""
        return _geartrain.tag()

    def hold(self, seconds: float) -> None:
        """Nothing: the function has the server for itself anyway."""

    def let_go(self) -> None:
        """Nothing, as `hold`."""

    @property
    def endpoint(self) -> None:
        """None: commands are calls."""

    @property
    def can_wait(self) -> bool:
        """No: the server would wait too, and so would everybody that is waited for."""
        return False

    def disown(self, position: int) -> None:
        """Nothing: no command is put off."""

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Wait for a coroutine or a future, as `run_async`."""
        return self.run_async(_awaited(awaitable))

    def run_async(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end; the server waits. It is cancelled, and TimeoutError raised, when it is late."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(_limited(coroutine))


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


async def _limited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    async with asyncio.timeout(_geartrain.TIMEOUT_MS / 1000):
        return await coroutine


CONTEXT = ServerContext()
