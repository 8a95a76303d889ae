"""An execution whose records fail one by one (the dialect redisgears-1.2), to the last effect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from geartrain.pipeline import Collected, Pipeline, RecordError
from geartrain.runtime.context import Context
from geartrain.runtime.surroundings import CallSites


def collect(pipeline: Pipeline, tail_calls: CallSites, records: Iterable[Any], context: Context) -> Collected:
    """Run a pipeline that collects, and wait for all its effects; the results and the errors.

    A record whose command was put off, and refused, has failed: its result is not among the results.

    Args:
        pipeline: compiled for redisgears-1.2.
        tail_calls: `call_sites(pipeline.tail_calls)`.
        records: read as they are needed.
        context: of this thread.

    Raises:
        ServerUnavailable: the connection was lost: any number of effects may have happened.
    """
    errors: list[RecordError] = []
    context.begin(pipeline, tail_calls, collects=True)
    try:
        results = pipeline.gather(records, context, errors)
    finally:
        # Also where something else has ended it: what earlier records did must have happened.
        context.flush()
    if context.refused:
        lost = {position for _, position in context.refused if position is not None}
        results = [result for number, result in enumerate(results) if number not in lost]
        errors += [RecordError.of(error) for error, _ in context.refused]
        context.refused.clear()
    return Collected(results, errors)
