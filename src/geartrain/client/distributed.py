"""A `run()`: every shard's part at the same time, by workers or in threads of this process; then the rest.

    cut ──> part of shard 0 ──a worker, or this thread──┐
        ├─> part of shard 1 ──a worker, or this thread──┼──> together ──> results
        └─> part of shard 2 ──a worker, or this thread──┘

Where there are more workers than shards, a shard's keys are scanned in portions, each a part (`readers.cursors`). One
server is one shard; what it has is not given to workers where that would take longer: few keys, or nothing to do with
them before they meet; nor where it might be noticed: steps that fill a list of the script's, say.

A part that a worker did not survive goes to another one, once; what its steps have executed happens again then. After a
second death nobody tries it any more: it may well be the part that kills.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import replace
from itertools import count
from queue import SimpleQueue
from types import ModuleType
from typing import NamedTuple

from geartrain.builder import Reader, RunRequest, Step
from geartrain.config import Dialect
from geartrain.errors import CodeError, CommandError, GeartrainError
from geartrain.keys import slot_of, slot_tag
from geartrain.pipeline import (
    Collected,
    borrows,
    cut,
    keeps_shards_whole,
    marked_steps,
    may_leave_something,
    noticed,
    watched,
)
from geartrain.readers import FIELDS, Layout, Portion, cursors_at, portions, reads_one_key
from geartrain.registry.code import PYTHON
from geartrain.runs import Delegation, Failed, Job, NotDone, Refused, Share, Why, perform, surroundings, through
from geartrain.runtime import EXECUTES
from geartrain.wire import Access, ClusterLink, Endpoint, Link, Shard, access, topology_of
from geartrain.worker.membership import live

logger = logging.getLogger("geartrain.client")

_PATIENCE = 2.0
"""Seconds that a run which ends early waits for its threads; user code that goes on longer is left alone."""


LEAST = 20_000
"""Keys that one server has where its workers are asked to help: below that, the caller has them read within 50 ms."""

_KEYS = frozenset({Reader.KEYS, Reader.KEYS_ONLY})


class _Ended(NamedTuple):
    """What a part gave, or what it raised."""

    part: int
    collected: Collected
    error: BaseException | None


class Distributed:
    """Executes runs on a cluster. For one thread.

    Args:
        endpoint: the cluster.
        dialect: the record format.
        modules: gives the modules that workers may lack.
        environment: whose workers may help (`geartrain.environments`).
    """

    def __init__(
        self,
        endpoint: Endpoint,
        dialect: Dialect,
        modules: Callable[[], Iterable[ModuleType]],
        environment: str = "",
    ) -> None:
        self._endpoint = endpoint
        self._dialect = dialect
        self._modules = modules
        self._environment = environment

    def run(self, request: RunRequest) -> Collected:
        """The results of a run, and the errors of single records; raises as `SessionHost.run`."""
        fields = noticed(request.steps, FIELDS, shown=("key",))
        clustered = topology_of(self._endpoint).clustered
        if not clustered and not _divides(request, self._dialect):
            return perform(self._job(request, fields), self._endpoint)
        parts = cut(request.steps, self._dialect)
        # Only what is a result in the end becomes its `str`.
        convert = request.convert and not parts.together
        job = self._job(replace(request, steps=parts.shard, convert=convert), fields)
        topology_of(self._endpoint).refresh()
        with access(self._endpoint, "geartrain:run") as link:
            collected = self._on_cluster(link, request, job) if clustered else self._on_server(link, request, job)
            if collected is None:
                return perform(self._job(request, fields), self._endpoint)
        return self._together(parts.together, collected, convert=request.convert) if parts.together else collected

    def _on_cluster(self, link: Access, request: RunRequest, job: Job) -> Collected:
        if reads_one_key(request):
            return perform(job, self._endpoint, Share(slot_of(request.pattern)))
        helpers = self._helpers(link)
        shares = shares_of(request, self._dialect, link, helpers)
        kept = None if request.collect else slot_of(_home(link))
        with self._delegated(link, job, helpers) as delegation:
            return _Parts(self._endpoint, job, shares, delegation).collected(kept)

    def _on_server(self, link: Access, request: RunRequest, job: Job) -> Collected | None:
        """What workers make of the portions of one server's keys; None: it is better done by who calls, undivided."""
        helpers = self._helpers(link) if _is_large(link) else 0
        shares = shares_of(request, self._dialect, link, helpers)
        if len(shares) == 1:
            return None
        with self._delegated(link, job, helpers) as delegation:
            return None if delegation is None else _Parts(self._endpoint, job, shares, delegation).collected()

    def _job(self, request: RunRequest, fields: frozenset[str]) -> Job:
        # What a step has put off may be refused later, and the error names the record.
        lent = borrows(request.steps) and not marked_steps(request.steps, EXECUTES)
        return Job(request, self._dialect, fields, lent, watched=watched() is not None)

    def _helpers(self, link: Access) -> int:
        """How many workers there are that could help."""
        try:
            able = (PYTHON, self._environment)
            return sum((member.python, member.environment) == able for member in live(link).values())
        except CommandError as error:
            logger.info("run(): there may be workers, but who calls may not ask: %s", error)
            return 0

    @contextmanager
    def _delegated(self, link: Access, job: Job, helpers: int) -> Iterator[Delegation | None]:
        """The job, given to workers; None: there is none, or they could not run it."""
        try:
            delegation = Delegation(link, job, self._modules(), self._environment) if helpers else None
        except (CodeError, CommandError) as error:
            logger.info("run(): workers cannot help: %s", error)
            delegation = None
        try:
            yield delegation
        finally:
            if delegation is not None:
                with suppress(GeartrainError):
                    delegation.end(link)

    def _together(self, steps: Sequence[Step], collected: Collected, *, convert: bool) -> Collected:
        """The steps behind the cut, in this thread."""
        with surroundings(self._endpoint, self._dialect) as context:
            results, errors = through(steps, collected.results, context, self._dialect, convert=convert)
        return Collected(results, collected.errors + errors)


def _home(link: Access) -> str:
    """A tag of the shard where the run begins."""
    return link.topology.shard_of(link.home).tag if isinstance(link, ClusterLink) else slot_tag(0).decode()


def _divides(request: RunRequest, dialect: Dialect) -> bool:
    """Whether workers can do a part of it on one server without that anybody notices.

    Keys, and steps before the results meet, which leave nothing in the caller's process.
    """
    if request.reader not in _KEYS or reads_one_key(request):
        return False
    steps = cut(request.steps, dialect).shard
    return bool(steps) and not may_leave_something(steps)


def _is_large(link: Access) -> bool:
    """Whether one server has so many keys that workers are worth the while; who may not ask does without them."""
    try:
        return bool(link.call("DBSIZE") >= LEAST)
    except CommandError:
        return False


def shares_of(request: RunRequest, dialect: Dialect, link: Access, helpers: int) -> list[Share]:
    """What the parts of a run are.

    One for each shard; several, where keys are read and there are more workers than shards.

    Args:
        request: the run.
        dialect: what its steps mean.
        link: asks the shards what their cursors are.
        helpers: how many workers may help.
    """
    shards = [link.shard_of(f"{{{_home(link)}}}")] if request.local else link.shards
    splits = request.reader in _KEYS and request.pattern_generator is None
    of = helpers // len(shards) if splits and not keeps_shards_whole(request.steps, dialect) else 1
    return [
        Share(slot_of(shard.tag), portion)
        for shard in shards
        for portion in (_portions(link.on(shard), shard, of) if of > 1 else [None])
    ]


def _portions(link: Link, shard: Shard, of: int) -> list[Portion] | list[None]:
    cursors = cursors_at(link)
    small = cursors.layout is Layout.PLAIN and not _is_large(link)
    return [None] if cursors.layout is None or small else portions(cursors, of, shard.slots)


class _Parts:
    """The parts of one run, each in a thread that does it or waits for the worker that does."""

    def __init__(self, endpoint: Endpoint, job: Job, shares: Sequence[Share], delegation: Delegation | None) -> None:
        self._endpoint = endpoint
        self._job = job
        self._shares = shares
        self._delegation = delegation
        self._stop = threading.Event()
        self._ended: SimpleQueue[_Ended] = SimpleQueue()

    def collected(self, kept: int | None = None) -> Collected:
        """What all gave, in the order of the shards; or the error that came first, when the other parts have stopped.

        Args:
            kept: the results of the parts of that slot only; None: all results.
        """
        # Each thread has a copy of this one's context variables: a step may run() too.
        threads = [
            threading.Thread(target=copy_context().run, args=(self._part, part), name="geartrain-run", daemon=True)
            for part in range(len(self._shares))
        ]
        for thread in threads:
            thread.start()
        found: dict[int, Collected] = {}
        try:
            while len(found) < len(threads):
                ended = self._ended.get()
                if ended.error is not None:
                    raise ended.error
                found[ended.part] = ended.collected
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(_PATIENCE)
        parts = sorted(found)
        wanted = [part for part in parts if kept is None or self._shares[part].slot == kept]
        return Collected(
            [record for part in wanted for record in found[part].results],
            [error for part in parts for error in found[part].errors],
        )

    def _part(self, part: int) -> None:
        try:
            self._ended.put(_Ended(part, self._delegate(part), None))
        except BaseException as error:  # noqa: BLE001 - raised again, in the thread that waits
            self._ended.put(_Ended(part, Collected([], []), error))

    def _delegate(self, part: int) -> Collected:
        """Let a worker do it, or do it here."""
        if self._delegation is not None:
            with access(self._endpoint, "geartrain:run:wait") as link:
                try:
                    return self._ask(self._delegation, link, part)
                except Refused as refused:
                    logger.warning("run(): workers cannot run this, it runs here: %s", refused)
                except NotDone:
                    logger.debug("run(): no worker is free")
        return perform(self._job, self._endpoint, self._shares[part], self._stop.is_set)

    def _ask(self, delegation: Delegation, link: Access, part: int) -> Collected:
        deaths = 0
        attempts = count()
        while True:
            try:
                return delegation.ask(link, part, next(attempts), self._shares[part], self._stop.is_set)
            except Failed as failed:
                raise failed.error from failed.error.__cause__
            except NotDone as outcome:
                if outcome.why is Why.UNTAKEN:
                    raise
                deaths += outcome.why is Why.DIED
                if deaths > 1:
                    raise GeartrainError(_DEATHS) from None


_DEATHS = (
    "run(): two workers ended while they ran the same part of it, and it is not tried again; what its steps executed"
    " until then has happened. The workers' logs say how they ended"
)
