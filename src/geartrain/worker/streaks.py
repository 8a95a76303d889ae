"""Batches one after the other, as long as all goes well: the path that most records take.

What an execution costs besides its function counts where batches are small. So what can be done once for many batches
is not done for each: what follows a batch is one look at the clock, which ends it and begins the next one. A failure
ends the streak; so does its time, and then the partition notes what is done, and looks whether it may go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

from geartrain.readers.entries import Entries
from geartrain.runtime import Context
from geartrain.worker.deployment import Deployment
from geartrain.worker.execution import Source, bind

LONGEST = 0.002
"""Seconds after which a streak ends, at the next batch's end."""


class Streak(NamedTuple):
    """What became of it.

    Attributes:
        times: when the first batch began, by `perf_counter`, and when each that went well ended.
        error: what the batch after those raised; None: there was none.
    """

    times: list[float]
    error: BaseException | None

    @property
    def batches(self) -> int:
        """How many batches went well."""
        return len(self.times) - 1


def run(
    source: Source, entries: Entries, records: Sequence[Any], start: int, deployment: Deployment, context: Context
) -> Streak:
    """Execute the batches that begin at `records[start]`, at least one.

    Args:
        source: of the entries, a uniform one.
        entries: of whole batches; the last one may be shorter.
        records: of the entries.
        start: where to begin.
        deployment: the code.
        context: of this thread.
    """
    pipeline = deployment.single or deployment.pipeline
    begin = perf_counter()
    times = [begin]
    try:
        context.begin(pipeline, deployment.tail_calls)
        bind(source, entries, deployment, context)
        if deployment.single:
            _ones(records, start, pipeline.function, context, times, begin + LONGEST)
        else:
            _batches(records, start, deployment.batch, pipeline.function, context, times, begin + LONGEST)
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, SystemExit too; the policy decides
        raised = pipeline.raised(error)
        try:
            # What earlier records of the batch did must have happened.
            context.flush()
        except BaseException as later:  # noqa: BLE001 - the same
            raised = later
        return Streak(times, raised)
    return Streak(times, None)


def _ones(
    records: Sequence[Any],
    start: int,
    function: Callable[[Any, Context], object],
    context: Context,
    times: list[float],
    until: float,
) -> None:
    """Batches of one record."""
    note = times.append
    for record in records[start:] if start else records:
        function(record, context)
        if context.pending or context.failure:
            context.flush()
        now = perf_counter()
        note(now)
        if now >= until:
            return


def _batches(
    records: Sequence[Any],
    start: int,
    size: int,
    function: Callable[[Any, Context], object],
    context: Context,
    times: list[float],
    until: float,
) -> None:
    for index in range(start, len(records), size):
        function(records[index : index + size], context)
        if context.pending or context.failure:
            context.flush()
        now = perf_counter()
        times.append(now)
        if now >= until:
            return
