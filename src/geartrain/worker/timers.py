"""Time events (`registerTimeEvent`): a thread for each, in every worker; one worker of all makes the call.

    key timer:<id> with a TTL ──expired──> all try to set it again ──who does──> calls; the others wait for its next end

So the key is the lease and the clock: a call happens once in each interval, whoever comes and goes. A worker that dies
in a call costs that call.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext

from geartrain import keys
from geartrain.builder import hosted
from geartrain.builder.requests import TimeArguments
from geartrain.config import Dialect
from geartrain.errors import GeartrainError
from geartrain.runs import StepHost
from geartrain.runtime import Context, enter
from geartrain.wire import Access, Endpoint, access
from geartrain.worker.deployment import Deployment
from geartrain.worker.execution import explain
from geartrain.worker.policy import backoff
from geartrain.worker.triggercounts import Counted

logger = logging.getLogger("geartrain.worker")


class Timers:
    """All of them. For the main thread.

    Args:
        endpoint: the server, or the cluster.
        worker: this worker's id.
        history: executions that a registration's history keeps.
    """

    def __init__(self, endpoint: Endpoint, worker: str, history: int) -> None:
        self._endpoint = endpoint
        self._worker = worker
        self._history = history
        self._timers: dict[str, _Timer] = {}
        self._leaving: list[_Timer] = []

    def follow(self, deployments: Mapping[str, Deployment]) -> None:
        """Make the calls of those among these that are time events, and of no others."""
        wanted = {name: item for name, item in deployments.items() if isinstance(_arguments(item), TimeArguments)}
        for name, timer in list(self._timers.items()):
            if wanted.get(name) is not timer.deployment:
                timer.request_stop()
                self._leaving.append(self._timers.pop(name))
        for name in wanted.keys() - self._timers.keys():
            timer = self._timers[name] = _Timer(self._endpoint, self._worker, wanted[name], self._history)
            timer.start()
        self._leaving = [timer for timer in self._leaving if not timer.join(0)]

    def counted(self) -> Iterable[Counted]:
        """What there is for the statistics."""
        return [timer.counted for timer in (*self._timers.values(), *self._leaving)]

    def stop(self, deadline: float) -> int:
        """Make no more calls; how many still run at a time of `time.monotonic`."""
        self.follow({})
        return sum(not timer.join(max(0.0, deadline - time.monotonic())) for timer in self._leaving)


class _Timer:
    """One time event, in this worker.

    Attributes:
        deployment: its code.
        counted: its calls, those of this process.
    """

    def __init__(self, endpoint: Endpoint, worker: str, deployment: Deployment, history: int) -> None:
        arguments = _arguments(deployment)
        assert isinstance(arguments, TimeArguments)  # noqa: S101 - `Timers.follow` takes no others
        self.deployment = deployment
        self.counted = Counted(deployment.registration.id, history)
        self._endpoint = endpoint
        self._worker = worker
        self._key = keys.timer(deployment.registration.id)
        self._interval = max(1, round(arguments.interval * 1000))
        self._callback = deployment.pipeline.steps[0].functions[0]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="geartrain-timer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def request_stop(self) -> None:
        """Make no more calls."""
        self._stopping.set()

    def join(self, seconds: float) -> bool:
        """Whether the thread has ended within so many seconds."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        context = Context(self._endpoint, f"geartrain:timer:{self._worker}")
        enter(context)
        dialect, failures, begun = self.deployment.dialect, 0, False
        host = hosted(StepHost(self._endpoint, dialect)) if dialect is Dialect.REDISGEARS_1_2 else nullcontext()
        with access(self._endpoint, f"geartrain:timer-key:{self._worker}") as link, host:
            while not self._stopping.is_set():
                try:
                    if not begun:
                        # Where nobody has counted yet, the first interval begins now.
                        link.call("SET", self._key, self._worker, "NX", "PX", self._interval)
                        begun = True
                    self._next(link, context)
                    failures = 0
                except GeartrainError as error:
                    failures += 1
                    if failures == 1:
                        logger.warning("%s: no call is made: %s", self.deployment.registration.id, error)
                    self._stopping.wait(backoff(failures))
        context.close()

    def _next(self, link: Access, context: Context) -> None:
        """Wait until the key is gone; then call, if it is us who set it again."""
        left = link.call("PTTL", self._key)
        if left > self._interval:
            # An upgrade has made the interval shorter.
            link.call("PEXPIRE", self._key, self._interval)
        elif left > 0:
            self._stopping.wait(left / 1000)
        elif link.call("SET", self._key, self._worker, "NX", "PX", self._interval) is not None:
            self._call(context)

    def _call(self, context: Context) -> None:
        began = time.perf_counter()
        tally, line = self.counted.tally, self.deployment.registration.pattern
        try:
            self._callback()
            context.flush()
        except BaseException as error:  # noqa: BLE001 - user code may raise anything, SystemExit too; the next call comes
            tally.failure((began, time.perf_counter() - began, 1, line), "failed", explain(error))
            logger.error("%s: a call failed: %s", self.deployment.registration.id, explain(error)[0])  # noqa: TRY400
        else:
            tally.success(began, time.perf_counter() - began, 1, line)


def _arguments(deployment: Deployment) -> object:
    return deployment.registration.arguments
