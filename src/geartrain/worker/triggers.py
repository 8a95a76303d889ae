"""Executes registrations of the CommandReader: threads that serve the lane `trigger`, a few on each primary.

    RG.TRIGGER ──module──> lane ──Serving──> Trigger ──pipeline──> results ──> reply

An execution has one record, the trigger's name and its arguments, and its results are the reply. The module keeps the
order of triggers that are `inorder`: it hands over the next call when the one before is answered.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from geartrain.builder.requests import Mode
from geartrain.errors import Aborted, CommandError
from geartrain.registry.statistics import Delta
from geartrain.resp3 import Error, encode
from geartrain.runtime import Context, Nobody, answering, enter, while_waiting
from geartrain.wire import Address, Argument, ClusterLink, Endpoint, Link, Topology, topology_of
from geartrain.wire.cluster import REGISTRY_SLOT
from geartrain.worker.deployment import Deployment
from geartrain.worker.deployments import Deployments
from geartrain.worker.execution import errors_of, explain
from geartrain.worker.keeping import run
from geartrain.worker.recorder import Recorder
from geartrain.worker.seats import Running
from geartrain.worker.serving import Call, Serving, name_of
from geartrain.worker.tally import Tally

LANE = "trigger"
"""Of sessions without requirements; those of an environment have a lane of their own, `trigger:<environment>`."""

THREADS = 3
"""Triggers that run at the same time for one primary."""

_PATIENCE = 5.0
"""Seconds that a call waits for code that is just being loaded."""

_COMMANDS = (b"rg.trigger", b"rg.triggeronkey")
"""Commands whose arguments are the record; of any other command, which is hooked, the whole command is."""


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
        self._ended: Running | None = None
        self._context = Context(endpoint, "geartrain:trigger")
        enter(self._context)

    def __call__(self, call: Call) -> bytes:
        """As `Handler`."""
        deployment = self._code.find(call.registration)
        if isinstance(deployment, str):
            return encode(Error(f"ERR {call.registration}: {deployment}"))
        if name_of(call.args[0]) in _COMMANDS:
            running = self._ended = self._execute(deployment, call.args[1:])
            value: Any = running.shown_results
        else:
            with answering(HookedClient(self._context, self._link_of(self._primary), call.id)):
                running = self._ended = self._execute(deployment, call.args)
            value = _one(running.shown_results)
        return encode(value if running.error is None else Error(self._text(running.error)))

    def answered(self) -> None:
        """As `Handler`: note the execution."""
        running, self._ended = self._ended, None
        if running is not None:
            self._recorder.ended(running)
            self._counts.add(running, running.deployment.registration.pattern)
            self._recorder.soon()

    def _text(self, error: BaseException) -> str:
        """What the caller is told: the error of the first record, of which there is one."""
        return errors_of(error)[0].text(traceback=self._recorder.config.traceback)

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
        """Prepare this thread for a call."""
        context = self._context
        context.begin(deployment.pipeline, deployment.tail_calls)
        context.stream = None
        if context.cluster is not None:
            context.cluster.home = self._home()
            context.cluster.bound = deployment.registration.mode is Mode.ASYNC_LOCAL

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


class Counted:
    """The counters of one registration, as `Reports` takes them.

    Args:
        registration: its id.
        history: executions that its tally keeps.
    """

    def __init__(self, registration: str, history: int) -> None:
        self.key = (registration, b"")
        self.tally = Tally(history)

    def drain_tally(self, worker: str) -> Delta | None:
        """What to add to the registration's statistics, or None."""
        return self.tally.drain("", worker)


class Counts:
    """The counters of all registrations that are triggered. Thread-safe.

    Args:
        history: executions that each keeps.
    """

    def __init__(self, history: int) -> None:
        self._history = history
        self._counted: dict[str, Counted] = {}
        self._lock = threading.Lock()

    def add(self, running: Running, trigger: str) -> None:
        """An execution has ended."""
        name = running.deployment.registration.id
        line, error = (running.began, running.duration, 1, trigger), running.error
        with self._lock:
            counted = self._counted.get(name)
            if counted is None:
                counted = self._counted[name] = Counted(name, self._history)
            if error is None:
                counted.tally.success(*line)
            elif isinstance(error, Aborted):
                counted.tally.aborted(line, explain(error))
            else:
                counted.tally.failure(line, "failed", explain(error))

    def all(self) -> list[Counted]:
        """Those of all registrations."""
        with self._lock:
            return list(self._counted.values())

    def forget(self, registered: Container[str]) -> None:
        """All registrations but these are gone."""
        with self._lock:
            for name in [name for name in self._counted if name not in registered]:
                del self._counted[name]


class Triggers:
    """The threads of all primaries. For the main thread.

    Args:
        endpoint: the server, or the cluster.
        worker: this worker's id.
        deployments: what is loaded here.
        recorder: keeps executions.
        missing: called, from any thread, where a call is for a registration that is not loaded.
        history: executions that a registration's history keeps.

    Attributes:
        counts: of the registrations.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        worker: str,
        deployments: Deployments,
        recorder: Recorder,
        missing: Callable[[], None],
        history: int,
    ) -> None:
        self._endpoint = endpoint
        self._worker = worker
        self._topology = topology_of(endpoint)
        self._lane = f"{LANE}:{deployments.environment}" if deployments.environment else LANE
        self._code = Code(deployments, missing)
        self._recorder = recorder
        self.counts = Counts(history)
        self._threads: dict[Address, list[Serving]] = {}
        self._leaving: list[Serving] = []
        self._spare: deque[Serving] = deque()  # from the threads that had lent their place
        self._numbers = count(THREADS + 1)

    def changed(self) -> None:
        """Something has been loaded, or could not be."""
        self._code.changed()

    def follow(self, *, wanted: bool) -> None:
        """Serve each primary that there is, or none.

        Args:
            wanted: whether there are registrations for which triggers can come.
        """
        primaries = {shard.primary for shard in self._topology.shards} if wanted else set()
        for primary in self._threads.keys() - primaries:
            self._leave(primary)
        for primary in primaries - self._threads.keys():
            self._threads[primary] = [self._start(primary, number) for number in range(1, THREADS + 1)]
        self._take_spare()
        self._leaving = [item for item in self._leaving if not item.join(0)]

    def stop(self, deadline: float) -> int:
        """Answer what was taken; how many calls are still executed at a time of `time.monotonic`."""
        for primary in list(self._threads):
            self._leave(primary)
        self._take_spare()
        return sum(not item.join(deadline) for item in self._leaving)

    def _take_spare(self) -> None:
        while self._spare:
            self._leaving.append(self._spare.popleft())

    def _leave(self, primary: Address) -> None:
        threads = self._threads.pop(primary)
        for item in threads:
            item.request_stop()
        self._leaving += threads

    def _start(self, primary: Address, number: int) -> Serving:
        endpoint = self._endpoint.at(primary) if self._topology.clustered else self._endpoint
        serving = Serving(endpoint, f"trigger-{number}:{self._worker}", [self._lane], lambda: self._handler(primary))
        serving.start()
        return serving

    @contextmanager
    def _lending(self, primary: Address) -> Iterator[None]:
        """While a thread waits for what a function awaits, another one takes its place."""
        spare = self._start(primary, next(self._numbers))
        try:
            yield
        finally:
            spare.request_stop()
            self._spare.append(spare)

    def _handler(self, primary: Address) -> Trigger:
        while_waiting(lambda: self._lending(primary))
        return Trigger(self._endpoint, self._topology, primary, self._code, self._recorder, self.counts)
