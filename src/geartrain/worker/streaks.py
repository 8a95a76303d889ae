"""Batches one after the other, as long as all goes well: the path that most records take.

What an execution costs besides its function counts where batches are small. So what can be done once for many batches
is not done for each: what follows a batch is one look at the clock, which ends it and begins the next one. A failure
ends the streak; so does its time, and then the partition notes what is done, and looks whether it may go on. (Where a
batch of it runs long, somebody else notes what was done before: `Batches.note_finished`.)

A batch begins when the one before has had its effects. Where its steps cannot notice whether it has, they run while the
server is still at work on these, and what they send is sent afterwards: so worker and server do not take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import Any

from geartrain.readers.entries import Entries
from geartrain.runtime import Context
from geartrain.worker.deployment import Deployment
from geartrain.worker.execution import Source, bind

_Function = Callable[[Any, Context], object]

LONGEST = 0.002
"""Seconds after which a streak ends, at the next batch's end."""

LONGEST_CLOSED = 0.005
"""The same where steps can only look at their records: what they do ends soon."""


def run(
    source: Source,
    entries: Entries,
    records: Sequence[Any],
    start: int,
    deployment: Deployment,
    context: Context,
    times: list[float],
) -> BaseException | None:
    """Execute the batches that begin at `records[start]`, at least one.

    Args:
        source: of the entries, a uniform one.
        entries: of whole batches; the last one may be shorter.
        records: of the entries.
        start: where to begin.
        deployment: the code.
        context: of this thread.
        times: when the first batch begins, by `perf_counter`; when each that goes well ends is added.

    Returns:
        What the batch after those raised; None: nothing did.
    """
    pipeline = deployment.single or deployment.pipeline
    try:
        context.begin(pipeline, deployment.tail_calls)
        bind(source, entries, deployment, context)
        # A single command is answered as soon as the next one is made.
        ahead = pipeline.closed and pipeline.tail_calls and deployment.batch > 1 and context.cluster is None
        execute = _execute_ahead if ahead else _execute
        until = times[0] + (LONGEST_CLOSED if pipeline.closed else LONGEST)
        execute(_pieces(records, start, deployment), pipeline.function, context, times, until)
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, SystemExit too; the policy decides
        raised = pipeline.raised(error)
        try:
            # What earlier records of the batch did must have happened.
            context.flush()
        except BaseException as later:  # noqa: BLE001 - the same
            raised = later
        return raised
    return None


def _pieces(records: Sequence[Any], start: int, deployment: Deployment) -> Iterable[Any]:
    """What the pipeline is called with: one record at a time where it is made for that, else a batch."""
    if deployment.single:
        return records[start:]
    size = deployment.batch
    return (records[at : at + size] for at in range(start, len(records), size))


def _execute(pieces: Iterable[Any], function: _Function, context: Context, times: list[float], until: float) -> None:
    for piece in pieces:
        function(piece, context)
        if context.pending or context.failure:
            context.flush()
        now = perf_counter()
        times.append(now)
        if now >= until:
            return


def _execute_ahead(
    pieces: Iterable[Any], function: _Function, context: Context, times: list[float], until: float
) -> None:
    """As `_execute`; a batch's steps run while the effects of the one before are waited for."""
    waiting = False
    try:
        for piece in pieces:
            function(piece, context)
            context.turn()
            if waiting:
                times.append(perf_counter())
            waiting = True
            if times[-1] >= until:
                break
    except BaseException:
        if waiting:
            # First the batch before: where it has failed, this one is as if it had not begun.
            context.settle()
            times.append(perf_counter())
        raise
    context.flush()
    times.append(perf_counter())
