"""What surrounds a step while it runs: its connection, the commands that are put off, its event loop.

Each thread has its own context, so a context needs no lock. A worker's execution threads are given theirs; a thread
that user code started gets one of its own when it first calls `execute`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import Any

from geartrain import keys
from geartrain.errors import Aborted, ArgumentError
from geartrain.runtime.arguments import packed
from geartrain.runtime.background import wait_for
from geartrain.runtime.deferring import Deferring
from geartrain.runtime.hold import Hold
from geartrain.wire import Argument, Channel, Endpoint, Short


class Context(Deferring):
    """One thread's surroundings.

    Args:
        endpoint: where `execute` sends commands.
        name: of the connection, in the server's `CLIENT LIST`.

    Attributes:
        stream: the name of the stream (or the key's) that the running execution's records come from, or None.
    """

    __slots__ = ("_hold", "_runner", "stream")

    def __init__(self, endpoint: Endpoint, name: str | None = None) -> None:
        super().__init__(endpoint, name)
        self.stream: str | bytes | None = None
        self._hold: Hold | None = None
        self._runner: asyncio.Runner | None = None

    def bind(self, home: int, *, bound: bool) -> None:
        """On a cluster, say where commands without a key go from now on.

        Args:
            home: a slot of that shard.
            bound: whether no other shard is to be reached.
        """
        if self.cluster is None:
            return
        self.cluster.home, self.cluster.bound = home, bound
        if bound:
            # Each command's shard is to be looked at.
            self.commands.sites = None

    def execute(self, command: str | bytes, args: tuple[Argument, ...]) -> Any:
        """Send a command, after those that were deferred, and wait for its reply.

        Raises:
            ArgumentError: an argument of a type that a command does not take.
            ForeignShard: its key is on a shard that this execution, or block of `atomic()`, is not bound to.
            CommandError, ServerUnavailable: as `Link.call`.
        """
        data = packed(command, args)
        self.flush()
        if self._hold is not None:
            if self._lanes is not None:
                self._lanes.check(data, command, args)
            return self._hold.call(data, command)
        return self.link.call_packed(data, command, args)

    def forget_sent(self) -> None:
        """What this thread has sent before need not be waited for."""
        if self._link is not None:
            self._link.forget_sent()

    def wait_for_replicas(self, replicas: int, seconds: float) -> list[Short]:
        """Wait until replicas have what this thread has sent since the last call (`wire.replication`)."""
        if self._link is None:
            return []
        if self.pending:
            self._abandon()
        return self._link.wait_for_replicas(replicas, seconds)

    def channel(self) -> Channel:
        """The connected channel, with nothing pending on it."""
        if self.pending:
            self.flush()
        return self.link.channel

    def hashtag(self) -> str:
        """A tag of the shard that this runs for (of the registry's, where for none): any, where there is one only."""
        if self._link is None:
            self._make_link()
        if self.cluster is None:
            return keys.slot_tag(0).decode()
        return self.cluster.topology.shard_of(self.cluster.home).tag

    def hold(self, seconds: float) -> None:
        """Let nobody else use the server (in a cluster: the shard of the event) until `let_go`, for so long at most.

        Raises:
            ArgumentError: there is a hold already.
            NeedsModule, CommandError, ServerUnavailable: the server cannot be held.
        """
        if self._hold is not None:
            raise ArgumentError("atomic(): a block of atomic() runs already; one cannot be within another")
        self.flush()
        if self._lanes is None:
            self._hold = Hold(self.link.at_home(), seconds)
            return
        self._hold = Hold(self._lanes.home(), seconds)
        self._lanes.held = True
        self.commands.sites = None

    def let_go(self) -> None:
        """End what `hold` began, after all commands that were deferred in it.

        Raises:
            StepError, CommandError, ServerUnavailable: a command of the block failed, or its time was over.
        """
        hold, self._hold = self._hold, None
        if hold is None:
            return
        try:
            self.flush()
        except BaseException:
            hold.abandon()
            raise
        finally:
            if self._lanes is not None:
                self._lanes.held = False
        hold.end()

    def run_async(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end on this thread's event loop; its result."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        try:
            return self._runner.run(coroutine)
        except Aborted:
            # It came into the loop itself: what ran there was not ended by it.
            self._close_loop()
            raise

    def _close_loop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()

    def interrupt(self, *, hard: bool) -> None:
        """Let this thread, which has been given an exception, notice it; from any thread.

        Args:
            hard: also where it waits for a server: its connections are lost then.
        """
        runner, link = self._runner, self._link
        if runner is not None:
            # Closed just now: then nobody waits for it.
            with suppress(RuntimeError):
                runner.get_loop().call_soon_threadsafe(_nothing)
        if hard and link is not None:
            link.abort()

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Wait for a coroutine, which may execute commands here meanwhile, or for a future; the result.

        What was deferred is done before: whoever ends the wait may look for it.
        """
        if self.pending:
            self.flush()
        return wait_for(awaitable, self)

    @property
    def can_wait(self) -> bool:
        """Yes: nobody waits for this thread but its execution."""
        return True

    def close(self) -> None:
        """Close the connection and the event loop."""
        if self._link is not None:
            self._link.close()
        self._close_loop()


def _nothing() -> None:
    """What a loop is woken with."""
