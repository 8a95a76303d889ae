"""What a worker does for registrations of the dialect redisgears-1.2, beside their partitions.

Nothing of it starts before there is such a registration.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from geartrain.registry import Snapshot
from geartrain.wire import Endpoint
from geartrain.worker.deployment import Deployment
from geartrain.worker.recorder import Recorder


class Gears:
    """See the module's docstring. For the main thread.

    Args:
        endpoint: the server, or the cluster.
        worker: this worker's id.

    Attributes:
        recorder: keeps executions.
    """

    def __init__(self, endpoint: Endpoint, worker: str) -> None:
        self.recorder = Recorder(endpoint, worker)

    def follow(self, snapshot: Snapshot) -> None:
        """The registry has changed."""
        self.recorder.forget(snapshot.registrations)

    def loaded(self, deployments: Iterable[Deployment]) -> None:
        """These run here now."""
        if any(item.keeps for item in deployments):
            self.recorder.start()

    def stop(self, deadline: float) -> None:
        """End what has begun, and keep what has ended; nothing executes any more."""
        self.recorder.stop(max(deadline, time.monotonic() + 1))
