"""Executions that are kept: as `execution.execute` runs them, but with their results, and open to be aborted."""

from __future__ import annotations

import time
from typing import Any

from geartrain.errors import Aborted, ServerUnavailable
from geartrain.runtime import Context
from geartrain.worker.deployment import Deployment
from geartrain.worker.execution import Source, begin
from geartrain.worker.recorder import Recorder
from geartrain.worker.seats import Running


def execute_kept(
    recorder: Recorder,
    source: Source,
    batch: list[Any],
    records: list[Any] | None,
    deployment: Deployment,
    context: Context,
) -> tuple[int, BaseException | None]:
    """As `execution.execute`; an Aborted where somebody has aborted it."""
    seat = recorder.seat()
    running = Running(deployment, context)
    count = 0
    try:
        seat.running = running
        begin(source, batch, deployment, context)
        if records is None:
            records = source.records_now(batch, deployment, context)
        count = len(records)
        if count:
            run(running, records)
    except BaseException as raised:  # noqa: BLE001 - user code may raise anything, SystemExit too
        running.error = raised
    seat.leave()
    return count, ended(recorder, running, happened=bool(count))


def run(running: Running, records: list[Any]) -> None:
    """Run records through the pipeline, to their last effect."""
    running.records = iter(records)
    try:
        running.results = running.deployment.pipeline(running.records, running.context)
    finally:
        # Also where a step raised: what earlier records of the batch did must have happened.
        running.context.flush()


def ended(recorder: Recorder, running: Running, *, happened: bool) -> BaseException | None:
    """Note how an execution has ended; what it raised.

    Args:
        recorder: keeps it.
        running: the execution.
        happened: whether there was anything to execute. Where the server was away an execution of a batch has not
            happened either: it will be executed again.
    """
    running.duration = time.perf_counter() - running.began
    if running.aborted:
        # Whatever the user's code made of the exception: whoever asked was told that it is aborted.
        running.results, running.error = (), Aborted("the execution was aborted")
    error = running.error
    if running.shown or (happened and not isinstance(error, ServerUnavailable)):
        recorder.ended(running)
    return error
