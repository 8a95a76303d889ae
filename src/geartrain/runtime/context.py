"""What surrounds a step while it runs: its connection, and the commands whose replies nobody waits for yet.

Each thread has its own context, so a context needs no lock. A worker's execution threads are given theirs; a thread
that user code started gets one of its own when it first calls `execute`.

A deferred command is packed at the call, so that a bad argument is an error there, and later changes to a list do not
change what is sent. `flush` sends what is pending and reads every reply: after it the batch has had all its effects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import Any

from geartrain import keys
from geartrain.errors import Aborted, ArgumentError, CommandError, GeartrainError, ServerUnavailable
from geartrain.runtime.arguments import packed
from geartrain.runtime.background import wait_for
from geartrain.runtime.deferred import commands
from geartrain.runtime.hold import Hold
from geartrain.runtime.surroundings import Attribution, CallSites
from geartrain.text import to_bytes
from geartrain.wire import (
    Access,
    Argument,
    Channel,
    ClusterLink,
    Endpoint,
    ErrorReply,
    Lane,
    Lanes,
    Link,
    Short,
    access,
    is_passing,
    raise_for,
)

SEND_AT = 50
"""Deferred commands that are sent together, so that the server executes them while the batch goes on here."""

SEND_AT_EACH = 64
"""The same for each shard of a cluster: a system call costs as much as several commands, and a batch of 100 on three
shards is to need no more of them than on one server."""

MAX_PENDING = 1024
"""Deferred commands whose replies are outstanding, at the most: what one flush waits for, and the server holds."""

At = tuple[int, object] | tuple[int, object, int]
"""Step number, record, and the number of the record's result where that is known."""


class Context:
    """One thread's surroundings.

    Args:
        endpoint: where `execute` sends commands.
        name: of the connection, in the server's `CLIENT LIST`.

    Attributes:
        at: (step number, record) that runs now; set by pipelines whose steps may defer.
        refused: errors of deferred commands, where the execution collects them, each with the number of the result that
            their record gave; None: it gave none, or keeps it.
        stream: the name of the stream (or the key's) that the running execution's records come from, or None.
        failure: the error of a deferred command of this execution, which every `flush` raises; None: there was none.
        commands: deferred commands; on a cluster they are in the shards' lanes, and only the list of them all is here.
        pending: those whose replies have not been read, each with the `at` of its call: the name of the command, on a
            cluster all of it.
        tail_calls: the call sites whose reply nobody can notice.
        cluster: the connections to all shards; None: there is no cluster, or nobody has asked yet (`begin` does).
    """

    __slots__ = (
        "_attribution",
        "_collects",
        "_endpoint",
        "_hold",
        "_lanes",
        "_link",
        "_name",
        "_runner",
        "_server",
        "at",
        "cluster",
        "commands",
        "failure",
        "pending",
        "refused",
        "stream",
        "tail_calls",
    )

    def __init__(self, endpoint: Endpoint, name: str | None = None) -> None:
        self._endpoint = endpoint
        self._name = name
        self._link: Access | None = None
        self._server: Link | None = None
        self._lanes: Lanes | None = None
        self.cluster: ClusterLink | None = None
        self.at: At | None = None
        self.stream: str | bytes | None = None
        self.tail_calls = CallSites()
        self._attribution: Attribution | None = None
        self.failure: GeartrainError | None = None
        self._collects = False
        self.refused: list[tuple[GeartrainError, int | None]] = []
        self._hold: Hold | None = None
        self.commands = commands()
        self.pending: list[tuple[Any, At | None]] = self.commands.pending
        self._runner: asyncio.Runner | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Where commands go."""
        return self._endpoint

    @property
    def link(self) -> Access:
        """The connection, or the connections to all shards."""
        return self._link if self._link is not None else self._make_link()

    def _make_link(self) -> Access:
        link = self._link = access(self._endpoint, self._name)
        if isinstance(link, ClusterLink):
            self.cluster, self._lanes = link, link.lanes
            self.commands.route(link.lanes.by_slot, link.lanes.order, link.lanes.places, SEND_AT_EACH)
        else:
            self._server = link
        return link

    def begin(self, pipeline: Attribution, tail_calls: CallSites, *, collects: bool = False) -> None:
        """Prepare for an execution of `pipeline`; drops what a failed one left pending.

        With `collects`, deferred commands that are refused go to `refused`, and do not fail the execution.

        Raises:
            ServerUnavailable: it is not known yet whether there is a cluster, and no node answers.
        """
        if self._link is None:
            self._make_link()
        self._attribution = pipeline
        self.tail_calls = tail_calls
        self.commands.sites = tail_calls.native if self._lanes is None or self._lanes.free else None
        self.at = None
        self.failure = None
        self._collects = collects
        self.refused.clear()
        if self.pending:
            self._abandon()

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

    def defer(self, command: str | bytes, args: tuple[Argument, ...]) -> None:
        """Send a command soon, and read its reply at the next `flush`.

        Raises:
            ArgumentError: an argument of a type that a command does not take.
            ForeignShard: as `execute`.
        """
        if self._link is None:
            self._make_link()
        if self._lanes is None:
            if self.commands.add(command, args, self.at) >= SEND_AT:
                self.send_deferred()
            return
        lane: Any = self.commands.add_to_lane(command, args, self.at) if self._lanes.free else False
        if lane is False:
            data = packed(command, args)
            lane = self._lanes.lane(data, command, args)
            lane.waiting.append(data)
            self.pending.append((data, self.at))
            if len(lane.waiting) < SEND_AT_EACH:
                return
        if lane is not None:
            self.send_deferred(lane)

    def send_deferred(self, lane: Lane | None = None) -> None:
        """Send what waits, of a cluster's shard in a lane; and read replies, where they are many."""
        self._send(lane)
        if len(self.pending) >= MAX_PENDING:
            self.flush()

    def flush(self) -> None:
        """Wait for the reply of every deferred command.

        A failure that was raised once in an execution is raised by every later flush of it too: a `try` in a step,
        around a command that happened to wait for those of earlier records, must not make it disappear.

        Raises:
            StepError: the server refused a command; the error names the step and the record that issued it. The
                commands after it were executed all the same.
            ServerUnavailable: the connection was lost; any number of the commands may have been executed.
        """
        if self.pending:
            try:
                refusals = self._refusals()
            except BaseException as error:
                self._lost(error)
                raise
            for index, reply in refusals:
                what, at = self.pending[index]
                self._note(self._refused(reply, what, at), at)
            self.pending.clear()
        if self.failure is not None:
            raise self.failure

    def _note(self, error: GeartrainError, at: At | None) -> None:
        """A deferred command has failed."""
        if self._collects and not isinstance(error, ServerUnavailable):
            self.refused.append((error, _position(at)))
        elif self.failure is None:
            self.failure = error

    def disown(self, position: int) -> None:
        """The record that would have given the result of that number has failed by itself.

        The next record gives that result, so commands of the failed one do not take it away.
        """
        for index in range(len(self.pending) - 1, -1, -1):
            what, at = self.pending[index]
            if at is None or _position(at) != position:
                break
            self.pending[index] = (what, at[:2])
        for index in range(len(self.refused) - 1, -1, -1):
            error, place = self.refused[index]
            if place != position:
                break
            self.refused[index] = (error, None)

    def _refusals(self) -> list[tuple[int, ErrorReply]]:
        """Send what waits, and read the replies to all that is pending: those that are errors, each with its number."""
        if self._lanes is not None:
            return self._lanes.refusals([data for data, _ in self.pending])
        if self._server is None:
            raise AssertionError
        if self.commands.unsent:
            self._server.send(self.commands.take())
        return self._server.refusals(len(self.pending))

    def _send(self, lane: Lane | None) -> None:
        """Send what waits in a lane, or for the one server."""
        try:
            if self._server is not None:
                self._server.send(self.commands.take())
            elif self._lanes is not None and lane is not None:
                self._lanes.send(lane)
        except BaseException as error:
            self._lost(error)
            raise

    def _lost(self, error: BaseException) -> None:
        """What was deferred may not have happened: the execution has failed, even if a `try` in a step hides this."""
        self.pending.clear()
        if isinstance(error, GeartrainError) and self.failure is None:
            self.failure = error

    def _abandon(self) -> None:
        """The execution that deferred commands has failed: those that were sent had their effects, the others none."""
        sent = len(self.pending) - self.commands.unsent
        self.commands.take()
        self.pending.clear()
        if self._lanes is not None:
            self._lanes.abandon()
        elif self._server is not None and sent:
            self._server.refusals(sent)

    def _refused(self, reply: ErrorReply, what: str | bytes, at: At | None) -> GeartrainError:
        if is_passing(reply):
            return ServerUnavailable(reply.text)
        name = what if self._lanes is None else to_bytes(what).split(b"\r\n", 3)[2]
        try:
            raise_for(reply, (name,))
        except CommandError as error:
            if self._attribution is None or at is None:
                return error
            return self._attribution.step_error(at[0], at[1], error)
        except ServerUnavailable as error:
            return error

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


def _position(at: At | None) -> int | None:
    return at[2] if at is not None and len(at) > 2 else None
