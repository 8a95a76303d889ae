"""Which partitions this worker has, and how it comes to have them and gives them up.

wanted ──lease taken──> open ──not wanted any more, or lost──> closing ──batch ended, committed──> released
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable, Mapping

from geartrain.builder.requests import Reader
from geartrain.config import WorkerSettings
from geartrain.text import shown, to_text
from geartrain.worker.assignment import PartitionKey
from geartrain.worker.batches import Hooks
from geartrain.worker.deployment import Deployment
from geartrain.worker.execution import Source
from geartrain.worker.keyevents import KeyEventSource
from geartrain.worker.leases import KEY_EVENTS, Leases, Opened, Refused, Renewal
from geartrain.worker.outboxes import OutboxSource
from geartrain.worker.partition import Partition
from geartrain.worker.policy import caution
from geartrain.worker.pool import Pool
from geartrain.worker.streams import StreamSource

logger = logging.getLogger("geartrain.worker")

_RENEW = 1 / 3
"""Leases are renewed after this part of their time."""

_REFUSED_AGAIN = 5.0
"""Seconds until a partition that could not be opened is tried again."""


class Ownership:
    """The partitions of one worker; for the main thread only.

    Args:
        settings: tunables.
        leases: of this worker.
        pool: the execution threads.
        hooks: what partitions tell.

    Attributes:
        open: partitions whose lease is ours, by key.
    """

    def __init__(self, settings: WorkerSettings, leases: Leases, pool: Pool, hooks: Hooks) -> None:
        self.open: dict[PartitionKey, Partition] = {}
        self._settings = settings
        self._leases = leases
        self._pool = pool
        self._hooks = hooks
        self._wanted: dict[PartitionKey, Deployment] = {}
        self._unowned: frozenset[PartitionKey] = frozenset()
        self._noted: frozenset[PartitionKey] = frozenset()
        self._closing: dict[PartitionKey, Partition] = {}
        self._refused: dict[PartitionKey, tuple[str, float]] = {}
        self._renewed = 0.0
        self._had: dict[str, set[PartitionKey]] = {}

    @property
    def closing(self) -> bool:
        """Whether some partition is on its way out."""
        return bool(self._closing)

    @property
    def settled(self) -> bool:
        """Whether all that is wanted is open, as far as it can be, and nothing else is."""
        return not self._closing and self._wanted.keys() == self.open.keys() | self._refused.keys()

    def want(self, wanted: Mapping[PartitionKey, Deployment], unowned: Iterable[PartitionKey] = ()) -> None:
        """Have these partitions from now on: closes others, and gives new code to those that stay.

        Args:
            wanted: the partitions, each with its code.
            unowned: partitions that no worker takes; the next `acquire` makes them known, so that users see them.
        """
        self._wanted = dict(wanted)
        self._unowned = frozenset(unowned)
        self._refused = {key: value for key, value in self._refused.items() if key in wanted}
        for key in [key for key in self.open if key not in wanted]:
            self.close(key)
        for key, partition in self.open.items():
            if partition.deployment is not wanted[key]:
                partition.upgrade(wanted[key])

    def acquire(self) -> tuple[list[Partition], list[tuple[PartitionKey, str]]]:
        """Try to open what is wanted and not open: (partitions that are open now, troubles that users should know)."""
        if self._unowned != self._noted:
            self._leases.note(self._unowned - self._noted)
            self._noted = self._unowned
        now = time.monotonic()
        missing = [
            key
            for key in self._wanted
            if key not in self.open and key not in self._closing and self._refused.get(key, ("", 0.0))[1] <= now
        ]
        if not missing:
            return [], []
        outcomes = self._leases.open([(key, self._wanted[key].beginning) for key in missing])
        opened: list[Partition] = []
        troubles: list[tuple[PartitionKey, str]] = []
        for key, outcome in zip(missing, outcomes, strict=True):
            if isinstance(outcome, Refused):
                if self._refused.get(key, ("", 0.0))[0] != outcome.reason:
                    troubles.append((key, outcome.reason))
                self._refused[key] = (outcome.reason, now + _REFUSED_AGAIN)
            elif outcome is not None:
                self._refused.pop(key, None)
                opened.append(self._opened(key, outcome, now))
                wait = _careful(opened[-1], now)
                if wait:
                    text = "%d workers in a row ended with the next batch and did not commit it; it waits for %.1f s"
                    troubles.append((key, text % (outcome.tries - 1, wait)))
        return opened, troubles

    def _opened(self, key: PartitionKey, outcome: Opened, asked: float) -> Partition:
        deployment = self._wanted[key]
        partition = Partition(
            key,
            None if key[1] == KEY_EVENTS else to_text(key[1]),
            deployment,
            _source(key, deployment),
            self._pool,
            self._hooks,
            capacity=self._settings.prefetch,
            history=self._settings.history,
        )
        start = deployment.beginning.after
        offset = outcome.offset or ("0-0" if start == "$" else start)
        partition.read_id = offset
        partition.done = partition.committed = (offset, 0)
        partition.entries_read = outcome.entries_read
        partition.tries = outcome.tries
        partition.renewed(asked + self._settings.lease_ttl)
        self.open[key] = partition
        self._had.setdefault(key[0], set()).add(key)
        return partition

    def close(self, key: PartitionKey) -> None:
        """Give a partition up, as soon as its batch has ended and is committed."""
        partition = self.open.pop(key, None)
        if partition is not None:
            partition.close()
            self._closing[key] = partition

    def drop(self, partition: Partition) -> None:
        """The lease is not ours any more: run nothing more, and commit nothing."""
        if self.open.get(partition.key) is partition:
            logger.warning("%s: lost the lease of %s", partition.key[0], shown(partition.name or "key events"))
            self.close(partition.key)
        partition.committed = partition.done

    def release_closed(self) -> list[Partition]:
        """Release what is closed and committed; returns it."""
        closed = [item for item in self._closing.values() if item.closed and item.clean]
        if closed:
            self._leases.release([(item.key, item.tries > 0) for item in closed])
            for item in closed:
                del self._closing[item.key]
        return closed

    def renew(self, *, force: bool = False) -> list[tuple[Partition, Renewal]]:
        """Renew leases where it is time; returns the partitions that are not simply kept."""
        now = time.monotonic()
        if not force and now - self._renewed < self._settings.lease_ttl * _RENEW:
            return []
        partitions = [*self.open.values(), *self._closing.values()]
        unusual: list[tuple[Partition, Renewal]] = []
        for partition, renewal in zip(partitions, self._leases.renew([item.key for item in partitions]), strict=True):
            if renewal not in (Renewal.LOST, Renewal.UNSURE):
                partition.renewed(now + self._settings.lease_ttl)
            if renewal is not Renewal.KEPT:
                unusual.append((partition, renewal))
        self._renewed = now
        return unusual

    def everything(self) -> list[Partition]:
        """All partitions that are open or closing."""
        return [*self.open.values(), *self._closing.values()]

    def tell(self, registration: str) -> None:
        """A registration is gone: make known again what it has had here, for whoever clears away.

        What was cleared before may have been while a partition was at work here, whose commit has made its group again.
        """
        self._leases.note(self._had.get(registration, ()))

    def forget(self, registration: str) -> None:
        """What a registration has had here is cleared away."""
        self._had.pop(registration, None)

    def release_all(self) -> None:
        """At the end: give up every lease but those of executions that still run."""
        self._leases.release([(item.key, item.tries > 0) for item in self.everything() if not item.running])


def _source(key: PartitionKey, deployment: Deployment) -> Source:
    """What makes records of a partition's entries."""
    if deployment.registration.reader is Reader.STREAM:
        return StreamSource(key[1])
    return KeyEventSource() if key[1] == KEY_EVENTS else OutboxSource(*key)


def _careful(partition: Partition, now: float) -> float:
    """Let a partition wait whose next batch may be what ended its owners; the seconds."""
    # Not the same for all partitions of a process that died: those that are not to blame get ahead.
    wait = caution(partition.tries) * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
    if wait:
        partition.wait(now + wait)
    return wait
