"""Commands whose replies nobody waits for yet: sent together, and answered before what deferred them counts as done.

A deferred command is packed at the call, so that a bad argument is an error there, and later changes to a list do not
change what is sent. `flush` sends what is pending and reads every reply: after it the batch has had all its effects.
"""

from __future__ import annotations

from typing import Any

from geartrain.errors import CommandError, GeartrainError, ServerUnavailable
from geartrain.runtime.arguments import packed
from geartrain.runtime.deferred import commands
from geartrain.runtime.surroundings import Attribution, CallSites
from geartrain.text import to_bytes
from geartrain.wire import (
    Access,
    Argument,
    ClusterLink,
    Endpoint,
    ErrorReply,
    Lane,
    Lanes,
    Link,
    access,
    is_passing,
    raise_for,
)

SEND_AT = 50
"""Deferred commands that are sent together, so that the server executes them while the batch goes on here."""

SEND_AT_EACH = 64
"""The same for each shard of a cluster: a system call costs as much as several commands, and a batch of 100 on three
shards is to need no more of them than on one server."""

WAIT_AT = 128
"""Deferred commands of a batch that runs ahead at which it waits for those of the batch before. Fewer are sent at its
end, all together."""

MAX_PENDING = 1024
"""Deferred commands whose replies are outstanding, at the most: what one flush waits for, and the server holds."""

At = tuple[int, object] | tuple[int, object, int]
"""Step number, record, and the number of the record's result where that is known."""


class Deferring:
    """One thread's connection, and what has been deferred on it.

    Args:
        endpoint: where commands go.
        name: of the connection, in the server's `CLIENT LIST`.

    Attributes:
        at: (step number, record) that runs now; set by pipelines whose steps may defer.
        refused: errors of deferred commands, where the execution collects them, each with the number of the result that
            their record gave; None: it gave none, or keeps it.
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
        "_earlier",
        "_endpoint",
        "_held_back",
        "_lanes",
        "_link",
        "_name",
        "_server",
        "at",
        "cluster",
        "commands",
        "failure",
        "pending",
        "refused",
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
        self.tail_calls = CallSites()
        self._attribution: Attribution | None = None
        self._collects = False
        self._earlier = 0
        self._held_back: BaseException | None = None
        self.failure: GeartrainError | None = None
        self.refused: list[tuple[GeartrainError, int | None]] = []
        self.commands = commands()
        self.pending: list[tuple[Any, At | None]] = self.commands.pending

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
        self._held_back = None
        self._earlier = 0
        self._collects = collects
        self.refused.clear()
        if self.pending:
            self._abandon()

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
        if self._earlier:
            if self.commands.unsent < WAIT_AT:
                return
            self._wait_for_earlier()
        if self._held_back is not None:
            return
        self._send(lane)
        if len(self.pending) >= MAX_PENDING:
            self.flush()

    def turn(self) -> None:
        """A batch ends, and the next one begins before this one has had its effects: its commands are sent now.

        No command of the next one is sent before these are answered; where one is refused, none at all is. For one
        server, and for steps that cannot notice what is there already (`Pipeline.closed`).

        Raises:
            StepError, ServerUnavailable: of the batch before, as `settle`, and then nothing of this one was sent; or
                this one cannot be sent.
        """
        self.settle()
        if self.commands.unsent:
            self._send(None)
        self._earlier = len(self.pending)

    def settle(self) -> None:
        """Wait for the replies of what was deferred before the last `turn`.

        Raises:
            StepError, ServerUnavailable: as `flush`, of these. What was deferred since is dropped, and was not sent.
        """
        if self._earlier:
            self._wait_for_earlier()
        if self._held_back is not None:
            self.commands.take()
            self.pending.clear()
            raise self._held_back

    def _wait_for_earlier(self) -> None:
        """Read the replies of the batch before; where it has failed, nothing of this one is to be sent any more."""
        earlier, self._earlier = self._earlier, 0
        try:
            self._read(earlier)
        except BaseException as error:
            self._held_back = error
            raise
        self._held_back = self.failure

    def flush(self) -> None:
        """Wait for the reply of every deferred command.

        A failure that was raised once in an execution is raised by every later flush of it too: a `try` in a step,
        around a command that happened to wait for those of earlier records, must not make it disappear.

        Raises:
            StepError: the server refused a command; the error names the step and the record that issued it. The
                commands after it were executed all the same.
            ServerUnavailable: the connection was lost; any number of the commands may have been executed.
        """
        self.settle()
        if self.pending:
            if self.commands.unsent:
                self._send(None)
            self._read(len(self.pending))
        if self.failure is not None:
            raise self.failure

    def _read(self, count: int) -> None:
        """Read the replies to the first so many that are pending, in a cluster to all; note those that are errors."""
        try:
            refusals = self._refusals(count)
        except BaseException as error:
            self._lost(error)
            raise
        for index, reply in refusals:
            what, at = self.pending[index]
            self._note(self._refused(reply, what, at), at)
        del self.pending[:count]

    def _refusals(self, count: int) -> list[tuple[int, ErrorReply]]:
        if self._lanes is not None:
            return self._lanes.refusals([data for data, _ in self.pending])
        if self._server is None:
            raise AssertionError
        return self._server.refusals(count)

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

    def _note(self, error: GeartrainError, at: At | None) -> None:
        """A deferred command has failed."""
        if self._collects and not isinstance(error, ServerUnavailable):
            self.refused.append((error, _position(at)))
        elif self.failure is None:
            self.failure = error

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


def _position(at: At | None) -> int | None:
    return at[2] if at is not None and len(at) > 2 else None
