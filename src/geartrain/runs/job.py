"""One shard's part of a `run()`, or all of it on one server: read, run the steps, wait for their effects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from geartrain.builder import RunRequest
from geartrain.config import Dialect
from geartrain.pipeline import compile_pipeline
from geartrain.readers import records
from geartrain.runtime import EXECUTES, Context, call_sites, enter
from geartrain.wire import ClusterLink, Endpoint, access


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done; it is pickled.

    Attributes:
        request: what to read, and the steps for it.
        dialect: the record format.
    """

    request: RunRequest
    dialect: Dialect


class Stopped(Exception):
    """Nobody wants the results any more; it ends a job between two records."""


def perform(
    job: Job, endpoint: Endpoint, slot: int | None = None, stopped: Callable[[], bool] | None = None
) -> list[Any]:
    """Do a job in this thread; its results, when all effects are done.

    Args:
        job: what to do.
        endpoint: where to read and to execute.
        slot: a slot of the shard whose records are read, where `hashtag()` and commands without a key belong; None:
            read all there is.
        stopped: asked before each record whether to give up.

    Raises:
        StepError: a step raised.
        CommandError: the server refuses to read.
        ServerUnavailable: the connection was lost.
        Stopped: `stopped` said so.
    """
    pipeline = compile_pipeline(job.request.steps, targets=EXECUTES)
    # Connections of its own: the script's may hold commands that are sent later, and a step may run() too.
    context = Context(endpoint, "geartrain:run")
    before = enter(context)
    try:
        with access(endpoint, "geartrain:run:reader") as link:
            shard = None
            if slot is not None and isinstance(link, ClusterLink) and isinstance(context.link, ClusterLink):
                # A shard that has come since is not known to a program that has only looked on.
                link.topology.refresh()
                context.link.home = slot
                shard = link.topology.shard_of(slot)
            source = records(job.request, link, job.dialect, shard)
            context.begin(pipeline, call_sites(pipeline.tail_calls))
            results = pipeline(source if stopped is None else _until(source, stopped), context)
            context.flush()
    finally:
        enter(before)
        context.close()
    return results


def _until(source: Iterator[Any], stopped: Callable[[], bool]) -> Iterator[Any]:
    for record in source:
        if stopped():
            raise Stopped
        yield record
