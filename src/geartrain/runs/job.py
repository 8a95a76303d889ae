"""One shard's part of a `run()`, or all of it on one server: read, run the steps, wait for their effects."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any

from geartrain.builder import Reader, RunRequest, Step, hosted
from geartrain.config import Dialect
from geartrain.errors import ServerUnavailable
from geartrain.pipeline import Collected, RecordError, compile_pipeline, counting, watched
from geartrain.readers import FIELDS, Portion, Records, batches
from geartrain.runs.nested import StepHost
from geartrain.runtime import EXECUTES, Context, call_sites, collect, enter
from geartrain.wire import ClusterLink, Endpoint, access


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done; it is pickled.

    Attributes:
        request: what to read, and the steps for it.
        dialect: the record format, and what the steps mean.
        fields: of the records, those that steps may look at, here or where the results meet.
        lent: whether it is certain that no step keeps a record; see `borrows`.
        watched: whether somebody wants to know of its progress.
    """

    request: RunRequest
    dialect: Dialect
    fields: frozenset[str] = FIELDS
    lent: bool = False
    watched: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """Whose records a job is done for.

    Attributes:
        slot: a slot of the shard, where `hashtag()` and commands without a key belong.
        portion: which of the shard's keys; None: all.
    """

    slot: int
    portion: Portion | None = None


_PACE = 0.005
"""Seconds between two looks whether anybody wants the results, where records take less."""


_LONGEST = 4096
"""Records in one list, at the most."""


class Stopped(Exception):
    """Nobody wants the results any more; it ends a job between two records."""


def perform(
    job: Job, endpoint: Endpoint, share: Share | None = None, stopped: Callable[[], bool] | None = None
) -> Collected:
    """Do a job in this thread; its results, when all effects are done, and the errors of single records.

    Only in the dialect redisgears-1.2 there are errors of single records: these are dropped, the others go on. Progress
    is told where this thread is `watched`.

    Args:
        job: what to do.
        endpoint: where to read and to execute.
        share: whose records are read; None: all there are.
        stopped: asked whether to give up, each few milliseconds and between two records; None: never.

    Raises:
        StepError: a step raised, in the dialect geartrain.
        CommandError: the server refuses to read.
        ServerUnavailable: the connection was lost.
        Stopped: `stopped` said so.
    """
    with surroundings(endpoint, job.dialect) as context, access(endpoint, "geartrain:run:reader") as link:
        shard = None
        if share is not None and isinstance(link, ClusterLink) and isinstance(context.link, ClusterLink):
            # A shard that has come since is not known to a program that has only looked on.
            link.topology.refresh()
            context.link.home = share.slot
            shard = link.topology.shard_of(share.slot)
        portion = None if share is None else share.portion
        source = batches(job.request, link, job.dialect, shard, portion, job.fields, lent=job.lent)
        progress = watched()
        if progress is not None:
            source = progress.past(source)
        return _through(job, source if stopped is None else paced(source, stopped), context)


def _through(job: Job, batched: Iterator[Records], context: Context) -> Collected:
    request, broken = job.request, list[RecordError]()
    lengths = counting(request.steps)
    if lengths is not None and request.reader is not Reader.PYTHON:
        return through(lengths, map(len, batched), context, job.dialect, convert=request.convert)
    source: Iterator[Any] = chain.from_iterable(batched)
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
    pipeline = compile_pipeline(steps, targets=EXECUTES, dialect=dialect, convert=convert, progress=watched())
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


def paced(source: Iterable[Records], stopped: Callable[[], bool]) -> Iterator[Records]:
    """The same records, in lists that are so short that steps take some milliseconds for each.

    Raises:
        Stopped: `stopped`, asked before each of them, and for each empty page, said so.
    """
    length = 1
    for page in source:
        if not page and stopped():
            raise Stopped
        start = 0
        while start < len(page):
            if stopped():
                raise Stopped
            begun = time.monotonic()
            yield page[start : start + length]
            start += length
            quick = time.monotonic() < begun + _PACE
            length = min(2 * length, _LONGEST) if quick else max(1, length // 2)
