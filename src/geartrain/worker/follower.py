"""How a worker follows the registry: what is registered goes to its parts, what was removed is cleared away."""

from __future__ import annotations

import logging

from geartrain.builder.requests import Reader
from geartrain.registry import Snapshot, Store
from geartrain.text import to_bytes
from geartrain.worker.capture import Capture
from geartrain.worker.deployments import Deployments
from geartrain.worker.discovery import Discovery
from geartrain.worker.environments import Environments
from geartrain.worker.gears import Gears
from geartrain.worker.ownership import Ownership
from geartrain.worker.partition import Partition

logger = logging.getLogger("geartrain.worker")


class Follower:
    """The registry as this worker's parts have it; used by the main thread only.

    Args:
        store: the registry.
        deployments, discovery, capture, environments, gears: told of each version of it.
        ownership: what registrations that are gone may still be at work in.

    Attributes:
        version: that the parts have; -1: none yet.
    """

    def __init__(
        self,
        store: Store,
        deployments: Deployments,
        discovery: Discovery,
        capture: Capture,
        environments: Environments,
        gears: Gears,
        ownership: Ownership,
    ) -> None:
        self.version = -1
        self._store, self._deployments, self._discovery, self._ownership = store, deployments, discovery, ownership
        self._followers = (deployments, capture, environments, gears)
        self._known, self._removed = set[str](), set[str]()

    def follow(self) -> None:
        """Have all parts know what is registered now."""
        snapshot = self._store.snapshot()
        self.version = snapshot.version
        self._note_removed(snapshot)
        for part in self._followers:
            part.follow(snapshot)
        self._discovery.set_patterns(
            {
                name: to_bytes(item.pattern)
                for name, item in self._deployments.active.items()
                if item.reader is Reader.STREAM
            }
        )

    def end(self, partition: Partition) -> None:
        """Tell the registry that a registration has ended, and the parts that it has."""
        registration, deployment = partition.key[0], partition.deployment
        version, ending = deployment.registration.code_version, deployment.ending
        # Not where new code has come since: it gets its own chance.
        if deployment.aborted and self._store.end(registration, version, ending):
            logger.error("%s: %s; `geartrain resume %s` starts it again", registration, ending.value, registration)
        deployment.ended = True
        self.follow()

    def _note_removed(self, snapshot: Snapshot) -> None:
        self._removed |= self._known - snapshot.registrations.keys()
        self._removed -= snapshot.registrations.keys()
        self._known = set(snapshot.registrations)

    def clear_away(self) -> None:
        """Remove what registrations that were removed have left since, through partitions that were still at work.

        Those that still are at work wait.
        """
        at_work = {partition.key[0] for partition in self._ownership.everything()} if self._removed else ()
        self._clear_away(self._removed.difference(at_work))

    def clear_all_away(self) -> None:
        """Nothing is at work any more: look at the registry once more, and remove everything that is left."""
        self._note_removed(self._store.snapshot())
        self._clear_away(self._removed)

    def _clear_away(self, removed: set[str]) -> None:
        for name in list(removed):
            self._ownership.tell(name)
            self._store.remove_remains([name])
            self._ownership.forget(name)
            self._removed.discard(name)
