"""One shard's part of a `run()`, or all of it on one server: read, run the steps, wait for their effects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from geartrain.builder import Reader, RunRequest, Step, hosted
from geartrain.config import Dialect
from geartrain.errors import ServerUnavailable
from geartrain.pipeline import Collected, RecordError, compile_pipeline
from geartrain.readers import Portion, records
from geartrain.runs.nested import StepHost
from geartrain.runtime import EXECUTES, Context, call_sites, collect, enter
from geartrain.wire import ClusterLink, Endpoint, access


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done; it is pickled.

    Attributes:
        request: what to read, and the steps for it.
        dialect: the record format, and what the steps mean.
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
) -> Collected:
    """Do a job in this thread; its results, when all effects are done, and the errors of single records.

    Only in the dialect redisgears-1.2 there are errors of single records: these are dropped, the others go on.

    Args:
        job: what to do.
        endpoint: where to read and to execute.
        share: whose records are read; None: all there are.
        stopped: asked before each record whether to give up.

    Raises:
        StepError: a step raised, in the dialect geartrain.
        CommandError: the server refuses to read.
        ServerUnavailable: the connection was lost.
        Stopped: `stopped` said so.
    """
    with surroundings(endpoint, job.dialect) as context, access(endpoint, "geartrain:run:reader") as link:
        shard, portion = None, None
        if share is not None and share.of > 1:
            portion = Portion(share.number, share.of)
        if share is not None and isinstance(link, ClusterLink) and isinstance(context.link, ClusterLink):
            # A shard that has come since is not known to a program that has only looked on.
            link.topology.refresh()
            context.link.home = share.slot
            shard = link.topology.shard_of(share.slot)
        source = records(job.request, link, job.dialect, shard, portion)
        if stopped is not None:
            source = _until(source, stopped)
        return _through(job, source, context)


def _through(job: Job, source: Iterator[Any], context: Context) -> Collected:
    request, broken = job.request, list[RecordError]()
    if request.reader is Reader.PYTHON and job.dialect is Dialect.REDISGEARS_1_2:
        source = _as_far_as_it_goes(source, broken)
    results, errors = through(request.steps, source, context, job.dialect, convert=request.convert)
    return Collected(results, errors + broken)


@contextmanager
def surroundings(endpoint: Endpoint, dialect: Dialect) -> Iterator[Context]:
    """A context of its own: the script's may hold commands that are sent later, and a step may run() too.

    In the dialect redisgears-1.2 what a step runs is given to a host of its own, whose answer can be awaited.
    """
    context = Context(endpoint, "geartrain:run")
    before = enter(context)
    old = dialect is Dialect.REDISGEARS_1_2
    try:
        with hosted(StepHost(endpoint, dialect)) if old else nullcontext():
            yield context
    finally:
        enter(before)
        context.close()


def through(
    steps: Sequence[Step], source: Iterable[Any], context: Context, dialect: Dialect, *, convert: bool
) -> Collected:
    """What the steps make of the records, when all effects are done; `convert`: the results' `str`."""
    pipeline = compile_pipeline(steps, targets=EXECUTES, dialect=dialect, convert=convert)
    tail_calls = call_sites(pipeline.tail_calls)
    if pipeline.collects:
        return collect(pipeline, tail_calls, source, context)
    context.begin(pipeline, tail_calls)
    results = pipeline(source, context)
    context.flush()
    return Collected(results, [])


def _as_far_as_it_goes(source: Iterator[Any], broken: list[RecordError]) -> Iterator[Any]:
    """What a user's generator yields; that it raised is one more error."""
    try:
        yield from source
    except (ServerUnavailable, Stopped):
        raise
    except Exception as error:  # noqa: BLE001 - user code may raise anything
        broken.append(RecordError.of(error))


def _until(source: Iterator[Any], stopped: Callable[[], bool]) -> Iterator[Any]:
    for record in source:
        if stopped():
            raise Stopped
        yield record
