"""One shard's part of a `run()`, or all of it on one server: read, run the steps, wait for their effects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from geartrain.builder import RunRequest, Step
from geartrain.config import Dialect
from geartrain.pipeline import compile_pipeline
from geartrain.readers import Portion, records
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


@dataclass(frozen=True, slots=True)
class Share:
    """Whose records a job is done for.

    Attributes:
        slot: a slot of the shard, where `hashtag()` and commands without a key belong.
        number: which portion of the shard's keys (KeysReader only); 0 is the first.
        of: how many portions there are.
    """

    slot: int
    number: int = 0
    of: int = 1


class Stopped(Exception):
    """Nobody wants the results any more; it ends a job between two records."""


def perform(
    job: Job, endpoint: Endpoint, share: Share | None = None, stopped: Callable[[], bool] | None = None
) -> list[Any]:
    """Do a job in this thread; its results, when all effects are done.

    Args:
        job: what to do.
        endpoint: where to read and to execute.
        share: whose records are read; None: all there are.
        stopped: asked before each record whether to give up.

    Raises:
        StepError: a step raised.
        CommandError: the server refuses to read.
        ServerUnavailable: the connection was lost.
        Stopped: `stopped` said so.
    """
    with surroundings(endpoint) as context, access(endpoint, "geartrain:run:reader") as link:
        shard, portion = None, None
        if share is not None and share.of > 1:
            portion = Portion(share.number, share.of)
        if share is not None and isinstance(link, ClusterLink) and isinstance(context.link, ClusterLink):
            # A shard that has come since is not known to a program that has only looked on.
            link.topology.refresh()
            context.link.home = share.slot
            shard = link.topology.shard_of(share.slot)
        source = records(job.request, link, job.dialect, shard, portion)
        return through(job.request.steps, source if stopped is None else _until(source, stopped), context)


@contextmanager
def surroundings(endpoint: Endpoint) -> Iterator[Context]:
    """A context of its own: the script's may hold commands that are sent later, and a step may run() too."""
    context = Context(endpoint, "geartrain:run")
    before = enter(context)
    try:
        yield context
    finally:
        enter(before)
        context.close()


def through(steps: Sequence[Step], source: Iterable[Any], context: Context) -> list[Any]:
    """What the steps make of the records, when all effects are done."""
    pipeline = compile_pipeline(steps, targets=EXECUTES)
    context.begin(pipeline, call_sites(pipeline.tail_calls))
    results = pipeline(source, context)
    context.flush()
    return results


def _until(source: Iterator[Any], stopped: Callable[[], bool]) -> Iterator[Any]:
    for record in source:
        if stopped():
            raise Stopped
        yield record
