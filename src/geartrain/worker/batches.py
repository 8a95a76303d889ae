"""What is executed of a partition, and what becomes of it: counted, told, done, or tried again.

    run of entries ──streaks──> batches that went well ──> done
                  │         └─> one that failed ─────────> the partition says what is to be done
                  └─one by one (kept executions, key events, replicas that are waited for)──> the same

For the thread that the partition has at that moment. When it may run again is the partition's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geartrain.builder.requests import Reader
from geartrain.errors import Aborted, ServerUnavailable
from geartrain.readers.entries import Entries, id_of
from geartrain.runtime import Context, answering
from geartrain.worker import streaks
from geartrain.worker.deployment import Deployment
from geartrain.worker.execution import Source, execute, explain, pauses_streams
from geartrain.worker.handover import Behind
from geartrain.worker.keeping import execute_kept
from geartrain.worker.policy import Verdict
from geartrain.worker.recorder import Recorder
from geartrain.worker.replication import Replication
from geartrain.worker.tally import Line, Tally

if TYPE_CHECKING:
    from geartrain.worker.partition import Partition

_LONG = 0.05
"""Seconds for which a batch runs until those before it in its streak are noted."""


@dataclass(slots=True)
class _Streak:
    """Batches that are executed one after the other.

    Attributes:
        run: their entries, among others.
        size: entries of a batch.
        times: when the first one began, and when each ended; the thread that executes adds to it.
        noted: how many of them are noted as done.
        start: where in `run` what is not noted begins.
    """

    run: Entries
    size: int
    times: list[float]
    start: int
    noted: int = 0


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


class Batches:
    """See the module's docstring.

    Args:
        partition: whose.
        source: the kind of its entries.
        hooks: whom to tell.
        tally: where executions are counted.
    """

    def __init__(self, partition: Partition, source: Source, hooks: Hooks, tally: Tally) -> None:
        self._partition = partition
        self._source = source
        self._hooks = hooks
        self._tally = tally
        self._confirms = bool(hooks.replication)
        self._streak: _Streak | None = None
        self._noting = threading.Lock()
        self._unconfirmed: list[Entries] = []

    def execute(self, run: Entries, deployment: Deployment, context: Context, until: float) -> None:
        """Execute a run of batches, one after the other; what cannot run now goes back to the buffer.

        Args:
            run: entries of whole batches; the last one may be shorter.
            deployment: the code.
            context: of this thread.
            until: the time of `time.monotonic` at which no further batch begins.
        """
        if self._confirms:
            # What was executed in vain will be executed again: nobody has to wait for it.
            context.forget_sent()
        self._execute(run, deployment, context, until)
        if self._unconfirmed:
            self._confirm(context)

    def _execute(self, run: Entries, deployment: Deployment, context: Context, until: float) -> None:
        size = deployment.batch
        context.stream = self._source.stream
        ahead = self._source.records_ahead(run, deployment, context)
        if self._source.uniform and ahead is not None and not (deployment.keeps or self._confirms):
            self._execute_streaks(run, ahead, deployment, context, until)
            return
        for start in range(0, len(run), size):
            batch = run[start : start + size]
            made = ahead is None or start + len(batch) <= len(ahead)
            if start and not (made and self._partition.may_go_on(deployment, until)):
                self._partition.put_back(run[start:])
                return
            records = None if ahead is None else ahead[start : start + size]
            if not self._execute_batch(batch, records, deployment, context):
                self._partition.put_back(run[start + len(batch) :])
                return

    def _execute_streaks(
        self, run: Entries, records: list[Any], deployment: Deployment, context: Context, until: float
    ) -> None:
        """As `_execute`, where nothing has to be done between batches that go well."""
        size = deployment.batch
        start = 0
        while start < len(run):
            if start and not self._partition.may_go_on(deployment, until):
                self._partition.put_back(run[start:])
                return
            streak = self._streak = _Streak(run, size, [time.perf_counter()], start)
            error = streaks.run(self._source, run, records, start, deployment, context, streak.times)
            with self._noting:
                self._streak = None
                self._note(streak)
            start = streak.start
            if error is not None:
                batch = run[start : start + size]
                begin = streak.times[-1]
                if not self._went_wrong(batch, deployment, error, begin, time.perf_counter() - begin):
                    self._partition.put_back(run[start + len(batch) :])
                    return
                start += len(batch)

    def note_finished(self) -> None:
        """Note batches that are done although the one after them runs, and has for a while; from another thread."""
        with self._noting:
            streak = self._streak
            if streak is not None and time.perf_counter() - streak.times[-1] > _LONG:
                self._note(streak)

    def _note(self, streak: _Streak) -> None:
        """Note the batches that went well."""
        times = streak.times[streak.noted :]
        count = len(times) - 1
        if not count:
            return
        run, start, size = streak.run, streak.start, streak.size
        end = min(start + count * size, len(run))

        def line(index: int) -> tuple[int, str]:
            begin = start + index * size
            last = min(begin + size, end)
            return last - begin, id_of(run, last - 1)

        self._tally.streak(times, end - start, line)
        self._partition.succeeded()
        self._advance(id_of(run, end - 1), run[start:end])
        streak.start, streak.noted = end, streak.noted + count

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
        self._partition.succeeded()
        self._advance(position, batch)
        return True

    def _went_wrong(
        self, batch: Entries, deployment: Deployment, error: BaseException, begin: float, duration: float
    ) -> bool:
        """Note how a batch failed; returns whether the next one may follow at once."""
        if isinstance(error, Behind):
            self._partition.postpone(batch, error.wait)
            return False
        if isinstance(error, ServerUnavailable):
            self._partition.unavailable(batch)
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
        self._partition.advance(position, len(batch))

    def _confirm(self, context: Context) -> None:
        """What was executed is done, when replicas have its effects; where these may be lost it is executed again."""
        executed, self._unconfirmed = self._unconfirmed, []
        try:
            if not self._hooks.replication.confirmed(context.wait_for_replicas):
                self._tally.count("unreplicated", len(executed))
        except ServerUnavailable:
            self._partition.unconfirmed([entry for batch in executed for entry in batch])
            return
        self._partition.advance(self._source.position(executed[-1]), sum(map(len, executed)))

    def _lagged(self, batch: Entries, ended: float) -> None:
        """Note how long the batch's first entry waited, which only the dialect redisgears-1.2 tells."""
        if self._partition.deployment.registration.reader is Reader.STREAM:
            self._tally.lag(id_of(batch, 0), ended)

    def _aborted(self, batch: Entries, error: Aborted, timing: Line) -> bool:
        """Somebody has aborted the execution: whatever the policy, it is not tried again."""
        message, trace = explain(error)
        self._tally.aborted(timing, (message, trace))
        self._partition.succeeded()
        self._hooks.failed(self._partition, "aborted", message, trace)
        self._advance(timing[3], batch)
        return True

    def _failed(self, batch: Entries, deployment: Deployment, error: BaseException, timing: Line) -> bool:
        """Do what the policy says, or the function itself; returns whether the next batch may follow at once."""
        message, trace = explain(error)
        pauses = pauses_streams(error) and deployment.registration.reader is Reader.STREAM
        verdict = self._partition.failed(batch, deployment, pauses=pauses)
        self._tally.failure(timing, verdict.outcome, (message, trace))
        self._hooks.failed(self._partition, verdict.outcome, message, trace)
        if verdict.ends:
            self._hooks.aborted(self._partition)
        elif verdict is Verdict.CONTINUE:
            if deployment.keeps:
                self._lagged(batch, timing[0] + timing[1])
            self._advance(timing[3], batch)
        return verdict is Verdict.CONTINUE
