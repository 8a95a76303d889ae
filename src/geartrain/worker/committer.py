"""Commits: the offset of a partition follows its finished batches, grouped, fenced by the lease.

1. A partition that finished a batch is put in the queue (`progressed`), once, however many batches follow.
2. The thread takes the whole queue: at once when the last commit was longer ago than the interval, else when it is.
3. One round trip moves all offsets; each move does nothing where the lease is no longer ours.
4. The outcome: committed; or lost, and the worker drops the partition; or there is no stream any more.

What was not committed when a worker dies is executed again by the next owner: at most the batches of one interval.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import cast

from geartrain import keys
from geartrain.errors import GeartrainError
from geartrain.text import shown
from geartrain.wire import Access, Argument, ErrorReply, Script, is_passing
from geartrain.worker.leases import COMMIT, KEY_EVENTS
from geartrain.worker.partition import Partition
from geartrain.worker.policy import backoff
from geartrain.worker.replication import Replication

logger = logging.getLogger("geartrain.worker")

_REFUSED_AGAIN = 1.0
"""Seconds until an offset that the server refused to move (no permission, no memory) is moved again."""


class Committer:
    """The thread that commits.

    Args:
        link: a connection of its own.
        token: this worker's.
        interval: seconds between two commits while there is work.
        lost: called with a partition whose lease is no longer ours.
        gone: called with a partition whose stream is gone.
        replication: whether replicas are to have a commit before it counts.

    Attributes:
        counts_entries: whether the server keeps the number of entries that a group has read (since Redis 7.0).
    """

    def __init__(
        self,
        link: Access,
        token: str,
        interval: float,
        lost: Callable[[Partition], None],
        gone: Callable[[Partition], None],
        replication: Replication,
    ) -> None:
        self._link = link
        self._token = token
        self._interval = interval
        self._lost = lost
        self._gone = gone
        self._replication = replication
        self._condition = threading.Condition()
        self._queue: list[Partition] = []
        self._refused: list[Partition] = []
        self._refused_until = 0.0
        self._stopping = False
        self.counts_entries = True
        self._thread = threading.Thread(target=self._run, name="geartrain-commit", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def progressed(self, partition: Partition) -> None:
        """Commit what the partition has done, soon."""
        if partition.key[1] == KEY_EVENTS:
            partition.committed = partition.done
            return
        with self._condition:
            if not partition.commit_queued:
                partition.commit_queued = True
                self._queue.append(partition)
                self._condition.notify()

    def stop(self, deadline: float) -> None:
        """Commit what is queued, until a time of `time.monotonic`; then end."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self._link.close()

    def _run(self) -> None:
        last = 0.0
        failures = 0
        while (queue := self._next(last)) is not None:
            last = time.monotonic()
            try:
                self._commit(queue)
                failures = 0
            except GeartrainError as error:
                failures += 1
                logger.warning("commit failed, and will be tried again: %s", error)
                self._put_back(queue)
                last = time.monotonic() + backoff(failures)

    def _next(self, last: float) -> list[Partition] | None:
        """Wait for a queue that is due; None: stop."""
        with self._condition:
            while True:
                now = time.monotonic()
                wait = last + self._interval - now
                if self._refused and now >= self._refused_until:
                    self._queue += self._refused
                    self._refused = []
                if self._queue and (wait <= 0 or self._stopping):
                    queue, self._queue = self._queue, []
                    return queue
                if self._stopping:
                    return None
                if not self._queue:
                    wait = self._refused_until - now
                self._condition.wait(wait if self._queue or self._refused else None)

    def _put_back(self, queue: list[Partition]) -> None:
        with self._condition:
            if not self._stopping:
                self._queue = queue + self._queue

    def _commit(self, queue: list[Partition]) -> None:
        batch = []
        for partition in queue:
            # In this order: at no moment it looks as if there were nothing to come, and a batch that ends between the
            # last two queues the partition again.
            partition.committing = True
            partition.commit_queued = False
            batch.append((partition, partition.done))
        try:
            replies = self._link.scripts([self._call(partition, done) for partition, done in batch])
        except GeartrainError:
            for partition in queue:
                partition.commit_queued = True
                partition.committing = False
            raise
        if self._replication:
            self._replication.committed(self._link.wait_for_replicas)
        for (partition, done), reply in zip(batch, replies, strict=True):
            self._outcome(partition, done, reply)
            partition.committing = False

    def _call(self, partition: Partition, done: tuple[str, int]) -> tuple[Script, list[Argument], list[Argument]]:
        registration, stream = partition.key
        count = -1
        if self.counts_entries and partition.entries_read is not None:
            count = partition.entries_read + done[1]
        trim, settled = int(partition.deployment.trim), int(partition.settled)
        args: list[Argument] = [self._token, keys.group(registration), done[0], count, trim, settled]
        names: list[Argument] = [keys.lease(registration, stream), stream]
        if partition.tries:
            names.append(keys.tries(registration, stream))
        return COMMIT, names, args

    def _outcome(self, partition: Partition, done: tuple[str, int], reply: object) -> None:
        if isinstance(reply, ErrorReply):
            # A shard that is away, or a slot on its way to another: that happens, and ends.
            level = logging.DEBUG if is_passing(reply) else logging.WARNING
            logger.log(level, "%s: the offset of %s cannot be moved: %s", *_names(partition), reply.text)
            self._later(partition)
        elif reply == 0:
            self._lost(partition)
        elif reply == 2:
            partition.committed = done
            self._gone(partition)
        else:
            outcome, count = cast("tuple[int, int]", reply)
            partition.committed = done
            partition.tries = 0
            partition.entries_read = count - done[1] if count >= 0 else None
            if outcome == 3:
                self.counts_entries = False

    def _later(self, partition: Partition) -> None:
        with self._condition:
            if not partition.commit_queued:
                partition.commit_queued = True
                self._refused.append(partition)
                self._refused_until = time.monotonic() + _REFUSED_AGAIN


def _names(partition: Partition) -> tuple[str, str]:
    return partition.key[0], shown(partition.name or "")
