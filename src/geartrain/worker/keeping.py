"""Executions that are kept: as `execution.execute` runs them, but with their results, and open to be aborted."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from geartrain.builder.host import enter_host, leave_host
from geartrain.errors import Aborted, ServerUnavailable
from geartrain.readers.entries import Entries
from geartrain.runs import StepHost
from geartrain.runtime import Context, collect
from geartrain.worker.deployment import Deployment
from geartrain.worker.execution import RecordsFailed, Source, bind
from geartrain.worker.recorder import Recorder
from geartrain.worker.seats import Running

_host = lru_cache(maxsize=4)(StepHost)
"""Takes what steps submit; one for each server and dialect."""


def execute_kept(
    recorder: Recorder,
    source: Source,
    batch: Entries,
    records: list[Any] | None,
    deployment: Deployment,
    context: Context,
) -> tuple[int, BaseException | None]:
    """As `execution.execute`; an Aborted where somebody has aborted it."""
    seat = recorder.seat()
    running = Running(deployment, context)
    count = 0
    try:
        try:
            seat.running = running
            # Whether it is a cluster is known from the first connection on.
            if context.link is context.cluster:
                bind(source, batch, deployment, context)
            if records is None:
                records = source.records_now(batch, deployment, context)
            count = len(records)
            if count:
                run(running, records)
        except BaseException as raised:  # noqa: BLE001 - user code may raise anything, SystemExit too
            running.error = raised
        seat.leave()
    except Aborted:
        seat.leave()
    running.end()
    # Where the server was away it has not happened: it will be executed again.
    if running.shown or (count and not isinstance(running.error, ServerUnavailable)):
        recorder.ended(running)
    return count, running.error


def run(running: Running, records: list[Any]) -> None:
    """Run records through the pipeline, to their last effect."""
    running.records = iter(records)
    deployment, context = running.deployment, running.context
    if not deployment.pipeline.collects:
        _run_at_once(running)
        return
    token = enter_host(_host(context.endpoint, deployment.registration.dialect))
    try:
        results, errors = collect(deployment.pipeline, deployment.tail_calls, running.records, context)
    finally:
        leave_host(token)
    running.results = results
    if errors:
        running.error = RecordsFailed(errors)


def _run_at_once(running: Running) -> None:
    """In the dialect geartrain, where only commands have results: what a step raises ends it."""
    deployment, context = running.deployment, running.context
    context.begin(deployment.pipeline, deployment.tail_calls)
    try:
        running.results = deployment.pipeline(running.records, context)
    finally:
        context.flush()
