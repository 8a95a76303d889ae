"""The reading of all shards: which partitions are read where."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from geartrain.config import WorkerSettings
from geartrain.keys import slot_of
from geartrain.wire import Access, Address, Endpoint, Link, Topology
from geartrain.worker.blocking import BlockingReading
from geartrain.worker.partition import Partition
from geartrain.worker.reading import Reading
from geartrain.worker.tracked import TrackedReading


class Readings:
    """A reading for the server, or one for each shard. For the main thread only, apart from `wake`.

    Args:
        endpoint: the server, or the cluster.
        topology: its shards.
        worker: this worker's id.
        settings: tunables.
        trouble: called with a partition and the reason why its stream cannot be read.
        elsewhere: called (from a thread) when a stream is not where it was, or a shard does not answer.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        topology: Topology,
        worker: str,
        settings: WorkerSettings,
        trouble: Callable[[Partition, str], None],
        elsewhere: Callable[[], None],
    ) -> None:
        self._endpoint = endpoint
        self._topology = topology
        self._worker = worker
        self._settings = settings
        self._trouble = trouble
        self._elsewhere = elsewhere
        self._readings: dict[Address, Reading] = {}
        if not topology.clustered:
            self._begin(endpoint.address)

    def set_partitions(self, partitions: Iterable[Partition], access: Access) -> None:
        """Read these from now on, and no others, each where its slot is served now."""
        if not self._topology.clustered:
            next(iter(self._readings.values())).set_partitions(partitions, access)
            return
        here: dict[Address, list[Partition]] = {shard.primary: [] for shard in self._topology.shards}
        for partition in partitions:
            owner = self._topology.owner_of(slot_of(partition.key[1]))
            # A slot that nobody serves now: the topology will change again.
            if owner is not None:
                # `setdefault`: other threads may learn of another shard meanwhile.
                here.setdefault(owner.primary, []).append(partition)
        for address in self._readings.keys() - here.keys():
            self._end(address, access)
        for address, items in here.items():
            reading = self._readings.get(address) or self._begin(address)
            reading.set_partitions(items, access)

    def wake(self, access: Access) -> None:
        """Look again at what to read, now; from any thread, `access` is that thread's."""
        for reading in list(self._readings.values()):
            reading.wake(access)

    def stop(self, deadline: float, access: Access) -> None:
        """End the threads, until a time of `time.monotonic`."""
        for reading in self._readings.values():
            reading.stop(deadline, access)

    def _begin(self, address: Address) -> Reading:
        timeout = self._settings.block + max(1.0, self._settings.lease_ttl / 3)
        name = f"geartrain:read:{self._worker}"
        settings = self._settings
        reading: Reading
        if self._topology.clustered:
            link = Link(self._endpoint.at(address), name, timeout, reads=True)
            memory = settings.buffer_memory // max(1, len(self._topology.shards))
            reading = TrackedReading(link, settings.read_budget, memory, self._trouble, self._elsewhere)
        else:
            link = Link(self._endpoint, name, timeout, reads=True)
            limits = settings.block, settings.read_budget, settings.buffer_memory
            reading = BlockingReading(link, self._worker, *limits, self._trouble)
        self._readings[address] = reading
        reading.start()
        return reading

    def _end(self, address: Address, access: Access) -> None:
        """That node is no primary any more."""
        self._readings.pop(address).abandon(access)
