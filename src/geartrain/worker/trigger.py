"""One thread's part of `triggers`: executes the registration that a call is for, and makes the reply."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from geartrain.builder.requests import CommandArguments, Mode
from geartrain.config import Dialect
from geartrain.errors import Aborted, CommandError
from geartrain.resp3 import Error, encode
from geartrain.runtime import Context, Nobody, answering, enter
from geartrain.wire import Address, Argument, ClusterLink, Endpoint, Link, Topology
from geartrain.wire.cluster import REGISTRY_SLOT
from geartrain.worker.deployment import Deployment
from geartrain.worker.deployments import Deployments
from geartrain.worker.execution import errors_of
from geartrain.worker.keeping import run
from geartrain.worker.recorder import Recorder
from geartrain.worker.seats import Running
from geartrain.worker.serving import Call
from geartrain.worker.triggercounts import Counts

_PATIENCE = 5.0
"""Seconds that a call waits for code that is just being loaded."""


class Code:
    """The deployments, as the serving threads see them.

    Args:
        deployments: the main thread's; looked up, never changed.
        missing: called where one is not there: the registry may have changed.
    """

    def __init__(self, deployments: Deployments, missing: Callable[[], None]) -> None:
        self._deployments = deployments
        self._missing = missing
        self._changed = threading.Condition()

    def changed(self) -> None:
        """Something has been loaded, or could not be."""
        with self._changed:
            self._changed.notify_all()

    def find(self, registration: str) -> Deployment | str:
        """A registration's deployment; waits a moment for it. Why there is none, where it does not come."""
        found = self._deployments.current.get(registration)
        if found is not None:
            return found
        self._missing()
        deadline = time.monotonic() + _PATIENCE
        with self._changed:
            while True:
                found = self._deployments.current.get(registration)
                why = self._deployments.why_not(registration)
                if found is not None or why is not None:
                    return found or str(why)
                left = deadline - time.monotonic()
                if left <= 0:
                    return "its code is not loaded in this worker yet; try again"
                self._changed.wait(left)


class Trigger:
    """Answers the calls of one thread.

    Args:
        endpoint: where its functions' commands go.
        topology: of the cluster, or of the one server.
        primary: that it serves.
        code: of the registrations.
        recorder: keeps executions.
        counts: of all threads.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        topology: Topology,
        primary: Address,
        code: Code,
        recorder: Recorder,
        counts: Counts,
    ) -> None:
        self._code = code
        self._topology = topology
        self._primary = primary
        self._recorder = recorder
        self._counts = counts
        self._context = Context(endpoint, "geartrain:trigger")
        enter(self._context)

    def __call__(self, call: Call) -> bytes:
        """As `Handler`."""
        deployment = self._code.find(call.registration)
        if isinstance(deployment, str):
            return encode(Error(f"ERR {call.registration}: {deployment}"))
        arguments = deployment.registration.arguments
        if isinstance(arguments, CommandArguments) and arguments.hook is None:
            running = self._execute(deployment, call.args[1:])
            value: Any = running.shown_results
        else:
            with answering(HookedClient(self._context, self._link_of(self._primary), call.id)):
                running = self._execute(deployment, call.args)
            value = _one(running.shown_results)
        self._note(running)
        return encode(value if running.error is None else Error(self._text(running.error, deployment.dialect)))

    def _note(self, running: Running) -> None:
        """Count the execution, and keep it: before its answer, so that who has that finds it counted."""
        if running.deployment.keeps:
            self._recorder.ended(running)
            self._recorder.soon()
        self._counts.add(running, running.deployment.registration.pattern)

    def _text(self, error: BaseException, dialect: Dialect) -> str:
        """What the caller is told: the error of the first record, of which there is one."""
        first = errors_of(error)[0]
        if first.reply:
            return first.reply
        if dialect is Dialect.GEARTRAIN:
            return f"ERR {first.message}"
        return first.text(traceback=self._recorder.config.traceback)

    def _link_of(self, primary: Address) -> Link:
        """The context's connection to the primary that has the caller."""
        link = self._context.link
        return link.nodes.at(primary) if isinstance(link, ClusterLink) else link

    def _execute(self, deployment: Deployment, record: list[Any]) -> Running:
        seat = self._recorder.seat()
        running = Running(deployment, self._context)
        try:
            try:
                seat.running = running
                self._begin(deployment)
                run(running, [record])
            except BaseException as raised:  # noqa: BLE001 - user code may raise anything; the caller gets it
                running.error = raised
            seat.leave()
        except Aborted:
            seat.leave()
        running.end()
        return running

    def _begin(self, deployment: Deployment) -> None:
        """Prepare this thread for a call; a pipeline begins by itself."""
        context = self._context
        # Whether it is a cluster is known from the first connection on.
        _ = context.link
        context.stream = None
        if context.cluster is not None:
            context.bind(self._home(), bound=deployment.registration.mode is Mode.ASYNC_LOCAL)

    def _home(self) -> int:
        """A slot of the shard that the call came from; the registry's where it has none (any more)."""
        slots = (shard.slots[0][0] for shard in self._topology.shards if shard.primary == self._primary and shard.slots)
        return next(slots, REGISTRY_SLOT)

    def close(self) -> None:
        """As `Handler`."""
        self._context.close()


def _one(results: Sequence[Any]) -> Any:
    """What results are as the reply of a command that is hooked."""
    if len(results) > 1:
        return results
    return results[0] if results else None


class HookedClient(Nobody):
    """The client whose command is hooked.

    Args:
        context: of the thread that executes.
        link: its connection to the primary that has the client.
        call: the id of its call.
    """

    def __init__(self, context: Context, link: Link, call: int) -> None:
        super().__init__()
        self._context = context
        self._link = link
        self._call = call

    def call_next(self, args: tuple[Argument, ...]) -> Any:
        """As `call_next` has it."""
        self._context.flush()
        try:
            return self._link.call("GEARTRAIN.NEXT", self._call, *args)
        except CommandError as error:
            raise CommandError("call_next", error.reply) from None
