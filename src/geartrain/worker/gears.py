"""What a worker does for registrations of the dialect redisgears-1.2, beside their partitions.

    recorder     takes executions to the registry                                        (recorder)
    triggers     a few threads for each primary: CommandReader registrations             (triggers)
    timers       time events                                                             (timers)
    control      orders to this process, on the primary of the registry's slot           (control)

Nothing of it starts before there is such a registration.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from geartrain import keys
from geartrain.builder.requests import Reader
from geartrain.errors import ServerUnavailable
from geartrain.registry import Snapshot
from geartrain.wire import Address, Endpoint, topology_of
from geartrain.worker.control import Control
from geartrain.worker.deployments import Deployments
from geartrain.worker.recorder import Recorder
from geartrain.worker.serving import Serving
from geartrain.worker.timers import Timers
from geartrain.worker.triggercounts import Counted
from geartrain.worker.triggers import Triggers


class Gears:
    """See the module's docstring. For the main thread.

    Args:
        endpoint: the server, or the cluster.
        worker: this worker's id.
        deployments: what is loaded here.
        missing: called, from any thread, where somebody calls for a registration that is not loaded.
        report: has the statistics written, and waits a moment for it; called from any thread.
        history: executions that a registration's history keeps.

    Attributes:
        recorder: keeps executions.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        worker: str,
        deployments: Deployments,
        missing: Callable[[], None],
        report: Callable[[], object],
        history: int,
    ) -> None:
        self.recorder = Recorder(endpoint, worker)
        self._endpoint = endpoint
        self._topology = topology_of(endpoint)
        self._deployments = deployments
        self._report = report
        self._triggers = Triggers(endpoint, worker, deployments, self.recorder, missing, history)
        self._timers = Timers(endpoint, worker, history)
        self._control: Serving | None = None
        self._controlled: Address | None = None

    def follow(self, snapshot: Snapshot) -> None:
        """The registry has changed."""
        self.recorder.forget(snapshot.registrations)
        self._triggers.counts.forget(snapshot.registrations)
        self._follow_timers()
        self.look_at_shards()

    def look_at_shards(self) -> None:
        """The shards may be others."""
        wanted = any(item.reader is Reader.COMMAND for item in self._deployments.active.values())
        if wanted or self._control is not None:
            # Before there is anything to ask about: it takes a moment to begin.
            self._serve_control()
        self._triggers.follow(wanted=wanted)

    def loaded(self) -> None:
        """What runs here is something else now, or cannot run."""
        self._triggers.changed()
        self._follow_timers()
        if any(item.keeps for item in self._deployments.current.values()):
            self.recorder.start()
            self._serve_control()

    def counted(self) -> Iterable[Counted]:
        """What there is for the statistics of registrations that have no partitions."""
        return [*self._triggers.counts.all(), *self._timers.counted()]

    def stop(self, deadline: float) -> int:
        """End what has begun, and keep what has ended; how many executions still run at a time of `time.monotonic`."""
        if self._control is not None:
            self._control.request_stop()
        running = self._triggers.stop(deadline) + self._timers.stop(deadline)
        if self._control is not None:
            self._control.join(deadline)
        self.recorder.stop(max(deadline, time.monotonic() + 1))
        return running

    def _follow_timers(self) -> None:
        """Those that are loaded and not paused."""
        active, current = self._deployments.active, self._deployments.current
        self._timers.follow({name: item for name, item in current.items() if name in active})

    def _serve_control(self) -> None:
        """On the primary of the registry's slot, wherever that is now."""
        try:
            primary = self._topology.shard_of(keys.slot_of(keys.VERSION)).primary
        except ServerUnavailable:
            return
        if primary == self._controlled:
            return
        if self._control is not None:
            self._control.request_stop()
        endpoint = self._endpoint.at(primary) if self._topology.clustered else self._endpoint
        lane = self.recorder.owner
        self._control = Serving(endpoint, lane, [lane], lambda: Control(self.recorder, self._report))
        self._controlled = primary
        self._control.start()
