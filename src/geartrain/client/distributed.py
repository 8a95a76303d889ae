"""A `run()` on a cluster: every shard's part at the same time, by workers or in threads of this process; then the rest.

    cut ──> part of shard 0 ──a worker, or this thread──┐
        ├─> part of shard 1 ──a worker, or this thread──┼──> together ──> results
        └─> part of shard 2 ──a worker, or this thread──┘

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
from geartrain.pipeline import Collected, cut
from geartrain.readers import reads_one_key
from geartrain.registry.code import PYTHON
from geartrain.runs import Delegation, Failed, Job, NotDone, Refused, Share, Why, perform, surroundings, through
from geartrain.wire import Access, ClusterLink, Endpoint, access, topology_of
from geartrain.worker.membership import live

logger = logging.getLogger("geartrain.client")

_PATIENCE = 2.0
"""Seconds that a run which ends early waits for its threads; user code that goes on longer is left alone."""


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
        parts = cut(request.steps, self._dialect)
        # Only what is a result in the end becomes its `str`.
        convert = request.convert and not parts.together
        job = Job(replace(request, steps=parts.shard, convert=convert), self._dialect)
        topology_of(self._endpoint).refresh()
        with access(self._endpoint, "geartrain:run") as link:
            if reads_one_key(request):
                collected = perform(job, self._endpoint, Share(slot_of(request.pattern)))
            else:
                helpers = self._helpers(link)
                tags = [_home(link)] if request.local else [shard.tag for shard in link.shards]
                shares = shares_of(request.reader, tags, helpers)
                kept = None if request.collect else slot_of(_home(link))
                with self._delegated(link, job, helpers) as delegation:
                    collected = _Parts(self._endpoint, job, shares, delegation).collected(kept)
        return self._together(parts.together, collected, convert=request.convert) if parts.together else collected

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


def shares_of(reader: Reader, tags: Sequence[str], helpers: int) -> list[Share]:
    """What the parts of a run are.

    One for each shard; several, where keys are read and there are more workers than shards. Each portion's worker gets
    all names of the shard, but reads the values of its own only.

    Args:
        reader: what is read.
        tags: of the shards.
        helpers: how many workers may help.
    """
    of = max(1, helpers // len(tags)) if reader is Reader.KEYS else 1
    return [Share(slot_of(tag), number, of) for tag in tags for number in range(of)]


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
