"""A partition: one registration on one stream, owned by this worker for as long as its lease is.

    IDLE ──offer──> QUEUED ──pool──> RUNNING ──nothing left──> IDLE
                                       │  └──partial batch with a duration, or a retry──> WAITING ──timer──> QUEUED
                                       └──time slice used up──> QUEUED
    any but RUNNING ──close──> CLOSED;  RUNNING ──close──> CLOSED at the end of the batch

One execution at a time, in order: that is what QUEUED and RUNNING are for. The lock is held for moments, never while
user code runs. A batch runs only while the lease is certainly ours: `lease_until` is checked before each one, in a
streak of short ones every 2 to 5 ms, so that a worker that was stopped and wakes up runs nothing more before it has
found out. What is executed, and what becomes of it, is in `batches`.
"""

from __future__ import annotations

import threading
import time
from enum import Enum
from typing import Any

from geartrain.readers.entries import Entries, id_of, id_parts, joined
from geartrain.registry import Status
from geartrain.runtime import Context
from geartrain.text import shown
from geartrain.worker.assignment import PartitionKey
from geartrain.worker.batches import Batches, Hooks
from geartrain.worker.buffer import Buffer
from geartrain.worker.deployment import Deployment
from geartrain.worker.execution import Source
from geartrain.worker.policy import Verdict, backoff
from geartrain.worker.pool import Pool
from geartrain.worker.tally import Tally

SLICE = 0.02
"""Seconds that a partition may keep a thread while others wait."""


class State(Enum):
    """What a partition does; the transitions are drawn above."""

    IDLE = "idle"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    CLOSED = "closed"


class Partition:
    """See the module's docstring.

    Args:
        key: (registration id, stream).
        name: the stream's name, for people; None: there is no stream.
        deployment: the code.
        source: the kind of its entries.
        pool: the execution threads.
        hooks: whom to tell.
        capacity: entries that its buffer holds.
        history: executions that its tally keeps.

    Attributes:
        read_id: the last entry that was read into the buffer; the reader's.
        done: (id, count): the last entry of the last finished batch, and entries finished since the lease was taken.
        lease_until: the time of `time.monotonic` until which the lease is certainly ours.
        tries: owners that have begun with what comes next, this one included; 0 once it has committed something.
        entries_read: the server's count of entries before the first one read here; None where it keeps none.
        commit_queued: whether it is in the committer's queue; the committer's, as the next one.
        committing: whether a commit of it has been sent and not been answered.
    """

    def __init__(
        self,
        key: PartitionKey,
        name: str | bytes | None,
        deployment: Deployment,
        source: Source,
        pool: Pool,
        hooks: Hooks,
        *,
        capacity: int,
        history: int,
    ) -> None:
        self.key = key
        self.name = name
        self.deployment = deployment
        self.read_id = "0-0"
        self.done: tuple[str, int] = ("", 0)
        self.committed: tuple[str, int] = ("", 0)
        self.lease_until = 0.0
        self.entries_read: int | None = None
        self.commit_queued = False
        self.committing = False
        self.tries = 0
        self._capacity = capacity
        self._pool = pool
        self._hooks = hooks
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._state = State.IDLE
        self._closing = False
        self._buffer = Buffer(capacity, deployment.batch)
        self._batch: Entries = []
        self._failures = 0
        self._outages = 0
        self._not_before = 0.0
        self._timer = 0
        self._timer_at = 0.0
        self._tally = Tally(history)
        self._at_once = source.at_once
        self._batches = Batches(self, source, hooks, self._tally)
        self._was_full = False

    # -- asked by the reader -------------------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether nothing more should be read for it now; once that was said, `drained` tells when it is over."""
        return not self.has_room(tight=False)

    def has_room(self, *, tight: bool) -> bool:
        """Whether more should be read for it now; once that was denied, `drained` tells when it is over.

        Args:
            tight: memory is short: only where there is less than a batch.
        """
        with self._lock:
            enough = tight and len(self._buffer) >= self.deployment.batch
            self._was_full = self._closing or self._buffer.full or enough
            return not self._was_full

    @property
    def weight(self) -> float:
        """About how many bytes its buffer takes."""
        return self._buffer.weight

    def appetite(self, *, tight: bool) -> int:
        """Entries that one read should bring at the most; `tight` as in `has_room`."""
        return self._buffer.appetite(tight=tight)

    def offer_read(self, entries: Entries) -> None:
        """Add a stream's entries, in order; those up to `read_id` are left out, and it moves on.

        A stream is read for several partitions from where the first of them is. When it moves to another shard, the
        thread that reads there may begin before the one that read here has ended.
        """
        with self._reading:
            after, last = id_parts(self.read_id), id_of(entries, -1)
            if id_parts(last) <= after:
                return
            if id_parts(id_of(entries, 0)) <= after:
                entries = [entry for entry in entries if id_parts(str(entry[0])) > after]
            self.read_id = last
            self.offer(entries)

    def offer(self, entries: Entries) -> None:
        """Add entries, in order, that come after all those before."""
        now = time.monotonic()
        with self._lock:
            if self._closing:
                return
            self._buffer.append(entries, now)
            if self._state in (State.IDLE, State.WAITING):
                self._schedule(now)

    # -- asked by the worker -------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether nothing runs and nothing will."""
        return self._state is State.CLOSED

    @property
    def running(self) -> bool:
        """Whether user code runs now."""
        return self._state is State.RUNNING

    @property
    def settled(self) -> bool:
        """Whether all that was read is done."""
        return not self._buffer and not self._batch

    @property
    def clean(self) -> bool:
        """Whether all that is done is committed, and no commit is under way any more.

        All leases of a worker have the same token. So a partition must not be taken again before the last commit of the
        one that lost it has failed: it would succeed.
        """
        return self.done == self.committed and not self.commit_queued and not self.committing

    def close(self) -> None:
        """Run nothing more, from the end of the running batch on; what is buffered is forgotten."""
        with self._lock:
            self._closing = True
            self._buffer.clear()
            if self._state is not State.RUNNING:
                self._state = State.CLOSED

    def wait(self, until: float) -> None:
        """Run nothing before that time of `time.monotonic`."""
        with self._lock:
            self._not_before = until

    def note_finished(self) -> None:
        """Have what is done noted, and so committed soon, also while the batch after it takes long."""
        if self._state is State.RUNNING:
            self._batches.note_finished()

    def upgrade(self, deployment: Deployment) -> None:
        """Run other code from the next batch on; a batch that waits for its next try gets it at once."""
        with self._lock:
            self.deployment = deployment
            self._buffer.resize(self._capacity, deployment.batch)
            self._failures = 0
            self._not_before = 0.0
            if self._state in (State.IDLE, State.WAITING):
                self._schedule(time.monotonic())

    def renewed(self, lease_until: float) -> None:
        """The lease is ours until then."""
        with self._lock:
            lapsed = self.lease_until <= time.monotonic()
            self.lease_until = lease_until
            if lapsed and self._state is State.IDLE:
                self._schedule(time.monotonic())

    def drain_tally(self, worker: str) -> Any:
        """What to add to the registration's statistics, or None."""
        return self._tally.drain(shown(self.name or ""), worker)

    def count(self, counter: str, amount: int = 1) -> None:
        """Add to one of the registration's counters."""
        self._tally.count(counter, amount)

    # -- called by the pool --------------------------------------------------------------------------------------------

    def due(self, timer: int) -> None:
        """A timer has come."""
        with self._lock:
            if self._state is State.WAITING and timer == self._timer:
                self._state = State.IDLE
                self._schedule(time.monotonic())

    def work(self, context: Context) -> None:
        """Execute batches until there are no more, or the time slice is used up."""
        with self._lock:
            if self._state is not State.QUEUED:
                return
            self._state = State.RUNNING
        until = time.monotonic() + SLICE
        while True:
            with self._lock:
                now = time.monotonic()
                run = self._take(now) if now < until else None
                if run is None:
                    self._rest(now)
                    break
                deployment = self.deployment
                drained = self._was_full and self._buffer.roomy
                if drained:
                    self._was_full = False
            if drained:
                self._hooks.drained(self)
            self._batches.execute(run, deployment, context, until)
        if self._was_full:
            self._was_full = False
            self._hooks.drained(self)
        if self.deployment.keeps and not self._buffer:
            self._hooks.recorder.soon()

    def _take(self, now: float) -> Entries | None:
        """The entries of the next batches that may run now, None where there are none. Holds the lock.

        Several batches at once where they are small, because what a batch costs besides its records counts then.
        """
        if self._closing or now >= self.lease_until or self.deployment.aborted or self._ready_at(now) != now:
            return None
        if self._batch:
            run, self._batch = self._batch, []
            return run
        batch = self.deployment.batch
        return self._buffer.take(max(1, min(self._at_once, len(self._buffer)) // batch) * batch)

    def _rest(self, now: float) -> None:
        """From RUNNING to what comes next. Holds the lock."""
        if self._closing:
            self._state = State.CLOSED
        elif now >= self.lease_until or self.deployment.aborted:
            self._state = State.IDLE
        else:
            self._state = State.IDLE
            self._schedule(now)

    def _ready_at(self, now: float) -> float | None:
        """When the next batch may run: `now`, a later time, or None: not before more entries come. Holds the lock."""
        if self._not_before > now:
            return self._not_before
        waiting = len(self._buffer)
        if self._batch or waiting >= self.deployment.batch:
            return now
        oldest = self._buffer.oldest
        if oldest is None or not self.deployment.duration:
            return None
        return max(now, oldest + self.deployment.duration)

    def _schedule(self, now: float) -> None:
        """From IDLE or WAITING to what the buffer asks for. Holds the lock."""
        at = self._ready_at(now)
        if at is None:
            self._state = State.IDLE
        elif at <= now:
            self._state = State.QUEUED
            self._pool.now(self)
        elif self._state is not State.WAITING or at != self._timer_at:
            self._state = State.WAITING
            self._timer_at = at
            self._timer = self._pool.later(self, at)

    # -- called where its batches are executed -------------------------------------------------------------------------

    def may_go_on(self, deployment: Deployment, until: float) -> bool:
        """Whether the next batch may follow at once, with the same code, before a time of `time.monotonic`."""
        now = time.monotonic()
        return now < until and now < self.lease_until and self.deployment is deployment and not self._closing

    def put_back(self, entries: Entries) -> None:
        """Entries that were taken last, and are not executed now."""
        with self._lock:
            if not self._closing:
                self._buffer.put_back(entries, time.monotonic())

    def succeeded(self) -> None:
        """A batch ended well, or somebody has aborted it: what failed before does not count any more."""
        self._failures = self._outages = 0

    def advance(self, position: str, count: int) -> None:
        """So many entries more are done, the last one of that id."""
        self.done = (position, self.done[1] + count)
        if not self.commit_queued:
            self._hooks.progressed(self)

    def failed(self, batch: Entries, deployment: Deployment, *, pauses: bool) -> Verdict:
        """A batch failed; what is to be done, and is done here: it waits for its next try, where it has one.

        Args:
            batch: its entries.
            deployment: the code that it ran.
            pauses: the function asks that its registration be paused.
        """
        with self._lock:
            self._failures += 1
            verdict = Verdict.PAUSE if pauses else deployment.policy.decide(self._failures)
            if verdict is Verdict.CONTINUE:
                self._failures = 0
            else:
                self._batch = batch
                self._not_before = time.monotonic() + deployment.policy.interval
            if verdict.ends:
                deployment.aborted = True
                deployment.ending = Status.PAUSED if pauses else Status.ABORTED
        return verdict

    def unavailable(self, batch: Entries) -> None:
        """The server cannot be reached: whatever the policy, the batch runs again when it can."""
        with self._lock:
            self._batch = batch
            self._wait_for_server()

    def postpone(self, batch: Entries, seconds: float) -> None:
        """The batch is not to run yet: again after that time."""
        with self._lock:
            self._batch = batch
            self._not_before = time.monotonic() + seconds

    def unconfirmed(self, executed: Entries) -> None:
        """What was executed may be lost: it runs again, before the batch that waits for its next try."""
        with self._lock:
            later, self._batch = self._batch, []
            self._wait_for_server()
        self.put_back(joined(executed, later) if later else executed)

    def _wait_for_server(self) -> None:
        """Holds the lock."""
        self._outages += 1
        self._not_before = time.monotonic() + backoff(self._outages)
