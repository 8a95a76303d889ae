"""Executes registrations of the CommandReader: threads that serve the lane `trigger`, a few on each primary.

    RG.TRIGGER ──module──> lane ──Serving──> Trigger ──pipeline──> results ──> reply

An execution has one record, the trigger's name and its arguments, and its results are the reply. The module keeps the
order of triggers that are `inorder`: it hands over the next call when the one before is answered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from geartrain.wire import Address, Endpoint, topology_of
from geartrain.worker.deployments import Deployments
from geartrain.worker.hands import Hands
from geartrain.worker.recorder import Recorder
from geartrain.worker.serving import Serving
from geartrain.worker.trigger import Code, Trigger
from geartrain.worker.triggercounts import Counts

LANE = "trigger"
"""Of sessions without requirements; those of an environment have a lane of their own, `trigger:<environment>`."""

THREADS = 3
"""Triggers that run at the same time for one primary; those that wait for coroutines do not count."""


class _Primary:
    """The threads of one primary.

    Args:
        start: starts one.
    """

    def __init__(self, start: Callable[[_Primary, int], Serving]) -> None:
        self.hands = Hands(THREADS, self._more)
        self._start = start
        self._lock = threading.Lock()
        self._left = False
        self._threads: list[Serving] = []
        for _ in range(THREADS):
            self._more()

    def _more(self) -> None:
        with self._lock:
            if not self._left:
                self._threads = [item for item in self._threads if not item.ended]
                self._threads.append(self._start(self, len(self._threads) + 1))

    def leave(self) -> list[Serving]:
        """Take no more calls; the threads."""
        with self._lock:
            self._left = True
            for item in self._threads:
                item.request_stop()
            return self._threads


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
        self._primaries: dict[Address, _Primary] = {}
        self._leaving: list[Serving] = []

    def changed(self) -> None:
        """Something has been loaded, or could not be."""
        self._code.changed()

    def follow(self, *, wanted: bool) -> None:
        """Serve each primary that there is, or none.

        Args:
            wanted: whether there are registrations for which triggers can come.
        """
        primaries = {shard.primary for shard in self._topology.shards} if wanted else set()
        for primary in self._primaries.keys() - primaries:
            self._leaving += self._primaries.pop(primary).leave()
        for primary in primaries - self._primaries.keys():
            self._primaries[primary] = self._begin(primary)
        self._leaving = [item for item in self._leaving if not item.ended]

    def stop(self, deadline: float) -> int:
        """Answer what was taken; how many calls are still executed at a time of `time.monotonic`."""
        while self._primaries:
            self._leaving += self._primaries.popitem()[1].leave()
        return sum(not item.join(deadline) for item in self._leaving)

    def _begin(self, primary: Address) -> _Primary:
        endpoint = self._endpoint.at(primary) if self._topology.clustered else self._endpoint

        def start(own: _Primary, number: int) -> Serving:
            make = lambda: self._handler(primary, own.hands)  # noqa: E731 - called in the thread
            serving = Serving(endpoint, f"trigger-{number}:{self._worker}", [self._lane], make, own.hands.spare)
            serving.start()
            return serving

        return _Primary(start)

    def _handler(self, primary: Address, hands: Hands) -> Trigger:
        hands.mine()
        return Trigger(self._endpoint, self._topology, primary, self._code, self._recorder, self.counts)
