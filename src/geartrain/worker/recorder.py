"""Keeps the executions of registrations in the dialect redisgears-1.2: a thread that takes them to the registry.

    exec threads ──ended──> Journal, the last of each registration ──┐
                 └─running for a while──> looked at in their seats ──┴──> Executions.record, Executions.end

Executing costs a few tenths of a microsecond more for each execution, whatever becomes of it: most are pushed out of
their journal by newer ones before they are written, as the registry's bound would push them out. A burst is written in
a few rounds, and what ends while nothing else is to be done is written at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Container
from contextlib import suppress
from dataclasses import replace
from threading import get_ident

from geartrain.errors import Aborted, GeartrainError, ServerUnavailable
from geartrain.registry import gearsconfig
from geartrain.registry.executions import Executions, Kept, State, Yield
from geartrain.registry.gearsconfig import GearsConfig
from geartrain.resp3 import encode_array
from geartrain.wire import Access, Endpoint, access
from geartrain.worker.execution import errors_of
from geartrain.worker.policy import backoff
from geartrain.worker.seats import Running, Seat

logger = logging.getLogger("geartrain.worker")

_LOOK = 0.1
"""Seconds between two looks at what runs: an execution that takes longer is shown as running."""

_INTERVAL = 0.5
"""Seconds between two writes while executions go on."""

_SHARE = 20
"""Between two writes that somebody waits for, so many times as long as the last one took."""

_REST = 0.1
"""Seconds between two such writes, at least."""

_SETTINGS = 2.0
"""Seconds between two looks at the settings."""


class Recorder:
    """See the module's docstring.

    Args:
        endpoint: where the registry is.
        worker: this worker's id.

    Attributes:
        owner: the control lane on which executions can be aborted.
        config: the settings, as they were at the last look.
    """

    def __init__(self, endpoint: Endpoint, worker: str) -> None:
        self.owner = f"control:worker:{worker}"
        self._endpoint = endpoint
        self.config = GearsConfig()
        self._by_thread: dict[int, Seat] = {}
        self._journals: dict[str, deque[Running]] = {}
        self._shown: deque[Running] = deque()
        self._waiting = False
        # Held while an execution that others may see already gets its id here.
        self._naming = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._wall = time.time() - time.perf_counter()
        self._thread = threading.Thread(target=self._run, name="geartrain-recorder", daemon=True)
        self._started = False

    # -- called by those who execute -----------------------------------------------------------------------------------

    def seat(self) -> Seat:
        """This thread's seat."""
        thread = get_ident()
        try:
            return self._by_thread[thread]
        except KeyError:
            seat = self._by_thread[thread] = Seat()
            return seat

    def ended(self, running: Running) -> None:
        """Keep it, as long as its registration's next ones do not push it out."""
        if running.shown:
            self._shown.append(running)
        else:
            name = running.deployment.registration.id
            try:
                self._journals[name].append(running)
            except KeyError:
                limit = self.config.limits.per_registration
                self._journals.setdefault(name, deque(maxlen=limit)).append(running)
        self._waiting = True

    def soon(self) -> None:
        """Nothing else is to be done: what has ended can be written."""
        if self._waiting and not self._wake.is_set():
            self._wake.set()

    # -- called by the main thread, and by control ---------------------------------------------------------------------

    def start(self) -> None:
        """Begin; may be called again."""
        if not self._started:
            self._started = True
            self._thread.start()

    def forget(self, registered: Container[str]) -> None:
        """All registrations but these are gone."""
        for name in [name for name in self._journals if name not in registered]:
            del self._journals[name]

    def stop(self, deadline: float) -> None:
        """Write what is left; returns when that is done, or at a time of `time.monotonic`."""
        self._stopping.set()
        self._wake.set()
        if self._started:
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def abort(self, execution_id: str) -> bool:
        """Abort an execution of this process; False where none of that id runs here."""
        with self._naming:
            seats = [(seat, seat.running) for seat in list(self._by_thread.values())]
        for seat, running in seats:
            if running is not None and running.id == execution_id:
                return seat.abort(running)
        return False

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        with access(self._endpoint, f"geartrain:recorder:{self.owner}") as link:
            work = _Work(link)
            while not self._stopping.is_set():
                try:
                    self._look(work)
                    failures = 0
                except ServerUnavailable:
                    # The main thread says so in the log.
                    failures += 1
                except GeartrainError as error:
                    failures += 1
                    logger.warning("executions are not kept: %s", error)
                self._pause(work, backoff(failures) if failures else 0.0)
            try:
                self._write(work)
            except GeartrainError as error:
                logger.warning("the last executions are not kept: %s", error)

    def _pause(self, work: _Work, rest: float) -> None:
        """Wait until there is something to do; nobody who wakes us shortens the rest."""
        if not rest:
            self._wake.wait(_LOOK)
            if self._wake.is_set():
                rest = work.written + max(_REST, _SHARE * work.took) - time.monotonic()
        if rest > 0:
            self._stopping.wait(rest)

    def _look(self, work: _Work) -> None:
        now = time.monotonic()
        if now >= work.settings_due:
            work.settings_due = now + _SETTINGS
            self._take(gearsconfig.read(work.link), work)
        if self._waiting and (self._wake.is_set() or now - work.written >= _INTERVAL):
            self._write(work)
        self._wake.clear()
        clock = time.perf_counter()
        for seat in list(self._by_thread.values()):
            running = seat.running
            if running is not None:
                self._look_at(seat, running, clock, work)

    def _take(self, config: GearsConfig, work: _Work) -> None:
        if config != self.config:
            self.config = config
            work.executions.limits = config.limits
            for name, journal in list(self._journals.items()):
                self._journals[name] = deque(journal, maxlen=config.limits.per_registration)

    def _look_at(self, seat: Seat, running: Running, clock: float, work: _Work) -> None:
        if running.aborted:
            seat.abort(running)
        elif self.config.max_idle and running.idle(clock) > self.config.max_idle:
            logger.warning("%s: an execution made no progress for %g s (ExecutionMaxIdleTime) and is aborted",
                           running.deployment.registration.id, self.config.max_idle)  # fmt: skip
            seat.abort(running)
        if not running.id and clock - running.began > _LOOK and seat.show(running):
            with self._naming:
                running.id = work.executions.begin(self._kept(running, State.RUNNING))

    def _write(self, work: _Work) -> None:
        begin = time.monotonic()
        self._waiting = False
        while self._shown:
            self._end(self._shown[0], work)
            self._shown.popleft()
        for journal in list(self._journals.values()):
            lines = _taken(journal)
            try:
                work.executions.record([self._ended(running) for running in lines])
            except ServerUnavailable:
                journal.extendleft(reversed(lines[-(journal.maxlen or 0) :]))
                raise
        work.written = time.monotonic()
        work.took = work.written - begin

    def _end(self, running: Running, work: _Work) -> None:
        if running.id:
            work.executions.end(*self._ended(running))
        else:
            work.executions.record([self._ended(running)])

    def _ended(self, running: Running) -> tuple[Kept, Yield]:
        errors = [item.text(traceback=self.config.traceback) for item in errors_of(running.error)]
        state = State.ABORTED if isinstance(running.error, Aborted | ServerUnavailable) else State.DONE
        kept = replace(
            self._kept(running, state),
            duration_us=round(running.duration * 1e6),
            results=len(running.results),
            errors=len(errors),
        )
        return kept, Yield(encode_array(running.shown_results), encode_array(errors))

    def _kept(self, running: Running, state: State) -> Kept:
        registration = running.deployment.registration
        return Kept(
            id=running.id,
            status=state,
            session=registration.session,
            registration=registration.id,
            owner=self.owner,
            started=self._wall + running.began,
            steps=running.deployment.plan,
        )


class _Work:
    """What the thread has for itself.

    Attributes:
        link: its connection.
        executions: the registry's.
        written: when it wrote last, by `time.monotonic`; `took`: seconds that that took.
        settings_due: when the settings are looked at again.
    """

    def __init__(self, link: Access) -> None:
        self.link = link
        self.executions = Executions(link)
        self.written = self.took = self.settings_due = 0.0


def _taken(journal: deque[Running]) -> list[Running]:
    """What is in the journal now; threads add to it meanwhile, and push out what is old."""
    taken: list[Running] = []
    with suppress(IndexError):
        while len(taken) < (journal.maxlen or 0):
            taken.append(journal.popleft())
    return taken
