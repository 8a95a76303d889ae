"""A partition: one registration on one stream, owned by this worker for as long as its lease is.

    IDLE ──offer──> QUEUED ──pool──> RUNNING ──nothing left──> IDLE
                                       │  └──partial batch with a duration, or a retry──> WAITING ──timer──> QUEUED
                                       └──time slice used up──> QUEUED
    any but RUNNING ──close──> CLOSED;  RUNNING ──close──> CLOSED at the end of the batch

One execution at a time, in order: that is what QUEUED and RUNNING are for. The lock is held for moments, never while
user code runs. A batch runs only while the lease is certainly ours: `lease_until` is checked before each one, so that
a worker that was stopped and wakes up runs nothing more before it has found out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from geartrain.builder.requests import Reader
from geartrain.errors import Aborted, ServerUnavailable
from geartrain.readers.entries import Entries, id_of, id_parts, joined
from geartrain.registry import Status
from geartrain.runtime import Context, answering
from geartrain.text import shown
from geartrain.worker import streaks
from geartrain.worker.assignment import PartitionKey
from geartrain.worker.buffer import Buffer
from geartrain.worker.deployment import Deployment
from geartrain.worker.execution import Source, execute, explain, pauses_streams
from geartrain.worker.keeping import execute_kept
from geartrain.worker.policy import Verdict, backoff
from geartrain.worker.pool import Pool
from geartrain.worker.recorder import Recorder
from geartrain.worker.replication import Replication
from geartrain.worker.streaks import Streak
from geartrain.worker.tally import Line, Tally

SLICE = 0.02
"""Seconds that a partition may keep a thread while others wait."""

_RUN = 256
"""Entries that are taken from the buffer at once, where batches are smaller."""


class State(Enum):
    """What a partition does; the transitions are drawn above."""

    IDLE = "idle"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a partition tells the rest of the worker; each may be called from any thread, and returns at once.

    Attributes:
        progressed: something is done that is not committed.
        drained: a buffer that was full has room again.
        aborted: the policy stops the registration.
        failed: an execution failed: outcome, message, traceback (for the log).
        replication: whether replicas are to have the effects before anything is committed.
        recorder: keeps executions, where a deployment's are to be kept.
    """

    progressed: Callable[[Partition], None]
    drained: Callable[[Partition], None]
    aborted: Callable[[Partition], None]
    failed: Callable[[Partition, str, str, str], None]
    replication: Replication
    recorder: Recorder


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
        self._source = source
        self._pool = pool
        self._hooks = hooks
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._state = State.IDLE
        self._closing = False
        self._buffer = Buffer(capacity, deployment.batch)
        self._batch: Entries = []
        self._confirms = bool(hooks.replication)
        self._unconfirmed: list[Entries] = []
        self._failures = 0
        self._outages = 0
        self._not_before = 0.0
        self._timer = 0
        self._timer_at = 0.0
        self._tally = Tally(history)
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
            if self._confirms:
                # What was executed in vain will be executed again: nobody has to wait for it.
                context.forget_sent()
            self._execute(run, deployment, context, until)
            if self._unconfirmed:
                self._confirm(context)
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
        return self._buffer.take(max(1, min(_RUN, len(self._buffer)) // batch) * batch)

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

    def _execute(self, run: Entries, deployment: Deployment, context: Context, until: float) -> None:
        """Execute a run of batches, one after the other; what cannot run now goes back to the buffer."""
        size = deployment.batch
        context.stream = self._source.stream
        ahead = self._source.records_ahead(run, deployment, context)
        if self._source.uniform and ahead is not None and not (deployment.keeps or self._confirms):
            self._execute_streaks(run, ahead, deployment, context, until)
            return
        for start in range(0, len(run), size):
            batch = run[start : start + size]
            made = ahead is None or start + len(batch) <= len(ahead)
            if start and not (made and self._may_go_on(deployment, until)):
                self._put_back(run[start:])
                return
            records = None if ahead is None else ahead[start : start + size]
            if not self._execute_batch(batch, records, deployment, context):
                self._put_back(run[start + len(batch) :])
                return

    def _execute_streaks(
        self, run: Entries, records: list[Any], deployment: Deployment, context: Context, until: float
    ) -> None:
        """As `_execute`, where nothing has to be done between batches that go well."""
        size = deployment.batch
        start = 0
        while start < len(run):
            if start and not self._may_go_on(deployment, until):
                self._put_back(run[start:])
                return
            streak = streaks.run(self._source, run, records, start, deployment, context)
            start = self._passed(run, start, streak, size)
            if streak.error is not None:
                batch = run[start : start + size]
                begin = streak.times[-1]
                if not self._went_wrong(batch, deployment, streak.error, begin, time.perf_counter() - begin):
                    self._put_back(run[start + len(batch) :])
                    return
                start += len(batch)

    def _passed(self, run: Entries, start: int, streak: Streak, size: int) -> int:
        """Note the batches that went well; returns where they end."""
        if not streak.batches:
            return start
        end = min(start + streak.batches * size, len(run))

        def line(index: int) -> tuple[int, str]:
            begin = start + index * size
            last = min(begin + size, end)
            return last - begin, id_of(run, last - 1)

        self._tally.streak(streak.times, end - start, line)
        self._failures = self._outages = 0
        self._advance(id_of(run, end - 1), run[start:end])
        return end

    def _may_go_on(self, deployment: Deployment, until: float) -> bool:
        now = time.monotonic()
        return now < until and now < self.lease_until and self.deployment is deployment and not self._closing

    def _put_back(self, entries: Entries) -> None:
        with self._lock:
            if not self._closing:
                self._buffer.put_back(entries, time.monotonic())

    def _execute_batch(
        self, batch: Entries, records: list[Any] | None, deployment: Deployment, context: Context
    ) -> bool:
        """Execute one batch, and note how it ended; returns whether the next one may follow at once."""
        begin = time.perf_counter()
        waiting = self._source.waiting(batch, context)
        if waiting is None:
            count, error = self._run(batch, records, deployment, context)
        else:
            with answering(waiting):
                count, error = self._run(batch, records, deployment, context)
            if not isinstance(error, ServerUnavailable):
                waiting.done()
        duration = time.perf_counter() - begin
        if error is not None:
            return self._went_wrong(batch, deployment, error, begin, duration)
        position = self._source.position(batch)
        if count:
            self._tally.success(begin, duration, count, position)
            if deployment.keeps:
                self._lagged(batch, begin + duration)
        self._failures = self._outages = 0
        self._advance(position, batch)
        return True

    def _went_wrong(
        self, batch: Entries, deployment: Deployment, error: BaseException, begin: float, duration: float
    ) -> bool:
        """Note how a batch failed; returns whether the next one may follow at once."""
        if isinstance(error, ServerUnavailable):
            self._unavailable(batch)
            return False
        timing = (begin, duration, len(batch), self._source.position(batch))
        if isinstance(error, Aborted):
            return self._aborted(batch, error, timing)
        return self._failed(batch, deployment, error, timing)

    def _run(
        self, batch: Entries, records: list[Any] | None, deployment: Deployment, context: Context
    ) -> tuple[int, BaseException | None]:
        if deployment.keeps:
            return execute_kept(self._hooks.recorder, self._source, batch, records, deployment, context)
        return execute(self._source, batch, records, deployment, context)

    def _advance(self, position: str, batch: Entries) -> None:
        """The batch is executed; it is done at once, or when replicas have its effects."""
        if self._confirms:
            self._unconfirmed.append(batch)
            return
        self.done = (position, self.done[1] + len(batch))
        if not self.commit_queued:
            self._hooks.progressed(self)

    def _confirm(self, context: Context) -> None:
        """What was executed is done, when replicas have its effects; where these may be lost it is executed again."""
        executed, self._unconfirmed = self._unconfirmed, []
        try:
            if not self._hooks.replication.confirmed(context.wait_for_replicas):
                self._tally.count("unreplicated", len(executed))
        except ServerUnavailable:
            entries = [entry for batch in executed for entry in batch]
            with self._lock:
                later, self._batch = self._batch, []
                self._outages += 1
                self._not_before = time.monotonic() + backoff(self._outages)
            self._put_back(joined(entries, later) if later else entries)
            return
        self.done = (self._source.position(executed[-1]), self.done[1] + sum(map(len, executed)))
        self._hooks.progressed(self)

    def _unavailable(self, batch: Entries) -> None:
        """The server cannot be reached: whatever the policy, the batch runs again when it can."""
        with self._lock:
            self._outages += 1
            self._batch = batch
            self._not_before = time.monotonic() + backoff(self._outages)

    def _lagged(self, batch: Entries, ended: float) -> None:
        """Note how long the batch's first entry waited, which only the dialect redisgears-1.2 tells."""
        if self.deployment.registration.reader is Reader.STREAM:
            self._tally.lag(id_of(batch, 0), ended)

    def _aborted(self, batch: Entries, error: Aborted, timing: Line) -> bool:
        """Somebody has aborted the execution: whatever the policy, it is not tried again."""
        message, trace = explain(error)
        self._tally.aborted(timing, (message, trace))
        self._failures = self._outages = 0
        self._hooks.failed(self, "aborted", message, trace)
        self._advance(timing[3], batch)
        return True

    def _failed(self, batch: Entries, deployment: Deployment, error: BaseException, timing: Line) -> bool:
        """Do what the policy says, or the function itself; returns whether the next batch may follow at once."""
        message, trace = explain(error)
        pauses = pauses_streams(error) and deployment.registration.reader is Reader.STREAM
        with self._lock:
            self._failures += 1
            verdict = Verdict.PAUSE if pauses else deployment.policy.decide(self._failures)
            self._tally.failure(timing, verdict.outcome, (message, trace))
            if verdict is Verdict.CONTINUE:
                self._failures = 0
            else:
                self._batch = batch
                self._not_before = time.monotonic() + deployment.policy.interval
            if verdict.ends:
                deployment.aborted = True
                deployment.ending = Status.PAUSED if pauses else Status.ABORTED
        self._hooks.failed(self, verdict.outcome, message, trace)
        if verdict.ends:
            self._hooks.aborted(self)
        elif verdict is Verdict.CONTINUE:
            if deployment.keeps:
                self._lagged(batch, timing[0] + timing[1])
            self._advance(timing[3], batch)
        return verdict is Verdict.CONTINUE
