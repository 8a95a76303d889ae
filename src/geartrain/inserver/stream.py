"""One stream of a StreamReader registration in the server.

    event ──> enough entries for a batch ──> execute ──> commit     before the reply to XADD, in its transaction
          └─> not yet: `duration` on a timer
    failed ──retry──> timer ──> execute
    behind (entries from before the load, or more than a slice of them) ──timers, a slice each──> up to date

While it is behind, an event only adds to what the timers will come to: order is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import _geartrain
from geartrain.errors import CommandError, ServerUnavailable
from geartrain.inserver.context import CONTEXT
from geartrain.inserver.database import Database
from geartrain.inserver.failures import LOG, told
from geartrain.inserver.streamoffset import StreamOffset
from geartrain.readers.entries import records_of
from geartrain.text import shown, to_text
from geartrain.worker.deployment import Deployment
from geartrain.worker.policy import Verdict, backoff
from geartrain.worker.tally import Tally

SLICE = 0.005
"""Seconds that entries of the past may keep the server from its clients at a time."""

PAUSE_MS = 5
"""Milliseconds between two such slices."""

PASSIVE_MS = 500
"""Milliseconds after which a server that is no primary looks again."""

_CHUNK = 256
"""Entries that are read at once, where batches are smaller."""


class Owner(Protocol):
    """The registration, as one of its streams knows it."""

    handle: _geartrain.Handle
    database: Database
    deployment: Deployment

    def abort(self) -> None:
        """The policy stops the registration."""

    def executed(self, stream: Stream) -> None:
        """The stream has something for the statistics."""


class Stream:
    """See the module's docstring.

    Args:
        owner: the registration.
        name: the stream's.
        tally: its counters.
    """

    def __init__(self, owner: Owner, name: bytes, tally: Tally) -> None:
        self.name = to_text(name)
        self.tally = tally
        self._owner = owner
        self._deployment = owner.deployment
        self._offset = StreamOffset(owner.database, name, owner.deployment)
        self._records: Callable[..., list[Any]] = records_of
        self._waiting = 0
        self._oldest: float | None = None
        self._not_before = 0.0
        self._behind = False
        self._failures = 0
        self._outages = 0
        self._timer: int | None = None

    def event(self) -> None:
        """An entry was added."""
        if self._behind:
            return
        self._waiting += 1
        if self._offset.last is None:
            self._work(None)
        elif self._waiting < self._deployment.batch:
            self._wait(self._waiting)
        elif self._not_before <= time.monotonic():
            self._work(None)

    def catch_up(self, until: float) -> None:
        """Execute what is there, up to that time of `time.monotonic`; timers do the rest."""
        if self._timer is None and not self._behind:
            self._work(until)

    def close(self) -> None:
        """Execute nothing more."""
        self._stop_timer()
        self._behind = True

    # -- when --------------------------------------------------------------------------------------------------------

    def _work(self, until: float | None) -> None:
        """Execute all whole batches; what an error of the server leaves open is done after the next event."""
        self._behind = False
        try:
            if self._offset.last is not None or self._offset.open():
                self._execute_all(until)
        except CommandError:
            # The stream is gone, or is none any more.
            self._offset.last = None
            self._waiting = 0
        except ServerUnavailable:
            self._again(PASSIVE_MS)

    def _execute_all(self, until: float | None) -> None:
        size = self._deployment.batch
        count = max(1, _CHUNK // size) * size
        more = True
        while more:
            entries = self._read(count + 1)
            more = len(entries) > count
            whole = min(len(entries), count) // size * size
            if not whole and entries and self._is_due():
                whole = len(entries)
            for start in range(0, whole, size):
                if until is not None and time.monotonic() >= until:
                    self._again(PAUSE_MS)
                    return
                if not self._execute(entries[start : start + size]):
                    return
                if self._offset.last is None:
                    break  # the stream, or its group, was removed: what was read is no more
            if whole:
                self._oldest = None
        self._wait(len(entries) - whole)
        if len(entries) == whole:
            self._offset.settle()

    def _read(self, count: int) -> list[Any]:
        entries = self._offset.read(count)
        # Fewer than events told of: some were deleted, or the stream was, and made again (with any ids).
        if len(entries) < min(self._waiting, count) and not self._offset.is_there():
            return self._offset.read(count) if self._offset.open() else []
        return entries

    def _is_due(self) -> bool:
        duration = self._deployment.duration
        return bool(duration) and self._oldest is not None and time.monotonic() >= self._oldest + duration

    def _wait(self, count: int) -> None:
        """That many entries are there, too few for a batch."""
        self._waiting = count
        if not count:
            self._oldest = None
            self._stop_timer()
        elif self._oldest is None:
            self._oldest = time.monotonic()
            if self._deployment.duration:
                self._set_timer(self._deployment.duration)

    def _again(self, ms: int) -> None:
        """Go on from a timer; until then events do nothing."""
        self._behind = True
        self._set_timer(ms / 1000)

    def _set_timer(self, seconds: float) -> None:
        self._stop_timer()
        # Rounded up: a timer that comes early would find that nothing is due.
        self._timer = _geartrain.timer(int(seconds * 1000) + 1, self._on_timer)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            _geartrain.cancel(self._timer)
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        if not _geartrain.active():
            self._again(PASSIVE_MS)
            return
        self._not_before = 0.0
        self._work(time.monotonic() + SLICE)

    # -- what --------------------------------------------------------------------------------------------------------

    def _execute(self, batch: list[Any]) -> bool:
        """Execute one batch and note how it ended; whether the next one may follow at once."""
        records = self._records(batch, self.name, self._deployment.dialect)
        begin = time.perf_counter()
        failure: BaseException | None = None
        CONTEXT.stream = self.name
        try:
            _geartrain.guarded(self._owner.handle, 1, self._deployment.pipeline, records, CONTEXT)
        except BaseException as error:  # noqa: BLE001 - user code may raise anything, SystemExit too; the policy decides
            failure = error
        finally:
            CONTEXT.stream = None
        took = time.perf_counter() - begin
        last: str = batch[-1][0]
        self._owner.executed(self)
        if failure is not None:
            return self._failed(failure, (begin, took, len(batch), last))
        self.tally.success(begin, took, len(batch), last)
        self._failures = self._outages = 0
        self._offset.commit(last, len(batch))
        return True

    def _failed(self, error: BaseException, line: tuple[float, float, int, str]) -> bool:
        """Do what the policy says; whether the next batch may follow at once."""
        if isinstance(error, ServerUnavailable):
            self._outages += 1
            self._retry(backoff(self._outages))
            return False
        message, trace = told(self._owner.handle, error)
        self._failures += 1
        verdict = self._deployment.policy.decide(self._failures)
        self.tally.failure(line, verdict.value, (message, trace))
        LOG.failed(self._deployment.registration.id, shown(self.name), verdict.value, message, trace)
        match verdict:
            case Verdict.CONTINUE:
                self._failures = 0
                self._offset.commit(line[3], line[2])
                return True
            case Verdict.RETRY:
                self._retry(self._deployment.policy.interval)
            case Verdict.ABORT:
                self._owner.abort()
        return False

    def _retry(self, seconds: float) -> None:
        """The batch is executed again later, and those behind it after it."""
        self._not_before = time.monotonic() + seconds
        self._waiting = self._deployment.batch
        # A partial batch that was due stays so.
        self._again(int(seconds * 1000))
