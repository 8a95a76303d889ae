"""Keeps a number of worker processes running: starts them, starts again what dies, stops them in good order.

Each process has a seat, and each seat a thread that waits for its process:

    LAUNCHED ──its registrations are live──> READY
    LAUNCHED, READY ──the process ends──> RESTING ──after the back-off──> LAUNCHED
    any ──stop──> STOPPED, once the process has ended
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from geartrain.config import WorkerSettings
from geartrain.errors import ArgumentError
from geartrain.worker.child import COMMAND, ID_VARIABLE, Child, ending, environment, worker_id

FIRST_REST = 0.2
"""Seconds until a process that died is started again; doubles with each death in a row."""

LONGEST_REST = 10.0

STEADY = 30.0
"""Seconds that a process must have lived for its death to count as the first in a row."""

GRACE = 5.0
"""Seconds beyond the worker's own stop deadline after which it is killed."""


class Kind(Enum):
    """What happened to a worker process."""

    STARTED = "started"
    RESTARTED = "restarted"
    DIED = "died"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a worker process; `str()` tells it to people.

    Attributes:
        kind: what happened.
        worker: the seat's number, from 1.
        pid: the process; 0 where it could not be launched.
        detail: how it ended, and what comes next; '' for a start.
    """

    kind: Kind
    worker: int
    pid: int
    detail: str = ""

    def __str__(self) -> str:
        match self.kind:
            case Kind.STARTED:
                return f"worker {self.worker} started (pid {self.pid})"
            case Kind.RESTARTED:
                return f"worker {self.worker} started again as pid {self.pid}"
            case _:
                return f"worker {self.worker} (pid {self.pid}) {self.detail}"


def rest(deaths: int) -> float:
    """Seconds to wait after that many deaths in a row (at least one)."""
    return min(LONGEST_REST, FIRST_REST * 2.0 ** (min(deaths, 10) - 1))


class Supervisor:
    """Worker processes of this machine for one server. `start`, `stop` and the like are for one thread.

    No worker process outlives this one: each stops in good order when this process has gone.

    Args:
        url: the server.
        processes: how many, 1 or more.
        settings: of each of them.
        on_event: called with each event, from any thread.
        on_output: called, from any thread, with each line that a worker prints; None: they print where we do.
        command: what is launched; for tests.

    Attributes:
        patience: seconds that `stop` waits before it kills.

    Raises:
        ArgumentError: `processes` is not a positive number.
    """

    def __init__(
        self,
        url: str,
        processes: int,
        settings: WorkerSettings,
        *,
        on_event: Callable[[Event], None] | None = None,
        on_output: Callable[[str], None] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        if not isinstance(processes, int) or processes < 1:
            raise ArgumentError(f"processes: {processes!r} is not a number of processes; it must be 1 or more")
        self.patience = settings.stop_deadline + GRACE
        launch = _Launch(command, environment(url, settings), on_output, on_event or _ignore)
        self._seats = [_Seat(number, launch) for number in range(1, processes + 1)]

    @property
    def pids(self) -> list[int]:
        """The processes that live now."""
        return [pid for seat in self._seats if (pid := seat.pid) is not None]

    def start(self) -> None:
        """Start all processes; returns at once."""
        for seat in self._seats:
            seat.start()

    def wait_ready(self, timeout: float) -> bool:
        """Wait until every process has its registrations live; False where that took more than `timeout` seconds."""
        deadline = time.monotonic() + timeout
        return all(seat.ready.wait(max(0.0, deadline - time.monotonic())) for seat in self._seats)

    def request_stop(self) -> None:
        """Ask all processes to stop in good order; returns at once."""
        for seat in self._seats:
            seat.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all processes have ended for good (see `request_stop`); False: not within `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for seat in self._seats:
            seat.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(seat.is_alive() for seat in self._seats)

    def kill(self) -> None:
        """End all processes at once, without a restart. What they had not committed runs again elsewhere."""
        for seat in self._seats:
            seat.stop(signal.SIGKILL)

    def stop(self) -> bool:
        """Stop all processes in good order and wait; kills those that take longer than their deadline.

        Returns:
            Whether all stopped by themselves.
        """
        self.request_stop()
        clean = self.wait(self.patience)
        if not clean:
            self.kill()
            self.wait()
        return clean


@dataclass(frozen=True, slots=True)
class _Launch:
    """What all seats launch, and whom they tell."""

    command: Sequence[str]
    env: Mapping[str, str]
    on_output: Callable[[str], None] | None
    report: Callable[[Event], None]

    def __call__(self, worker: str) -> Child:
        return Child(self.command, {**self.env, ID_VARIABLE: worker}, self.on_output)


class _Seat(threading.Thread):
    """One process at a time; see the module's docstring."""

    def __init__(self, number: int, launch: _Launch) -> None:
        super().__init__(name=f"geartrain-seat-{number}", daemon=True)
        self.ready = threading.Event()
        self._number = number
        # The same for each process of this seat: the one before is dead, so the next one goes on with its leases at
        # once, without waiting until they expire.
        self._id = worker_id(number)
        self._launch = launch
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """The process that lives now."""
        with self._lock:
            return self._child.pid if self._child is not None else None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask the process to stop, with that signal, and start no other; returns at once."""
        with self._lock:
            self._stopping.set()
            if self._child is not None:
                self._child.send(number)

    def run(self) -> None:
        """Launch, wait, rest, until `stop`."""
        deaths = 0
        kind = Kind.STARTED
        while not self._stopping.is_set():
            began = time.monotonic()
            pid, how = self._one_run(kind)
            if self._stopping.is_set():
                self._launch.report(Event(Kind.STOPPED, self._number, pid, how))
                break
            deaths = deaths + 1 if time.monotonic() - began < STEADY else 1
            wait = rest(deaths)
            self._launch.report(Event(Kind.DIED, self._number, pid, f"{how}; it is started again in {wait:g} s"))
            kind = Kind.RESTARTED
            self._stopping.wait(wait)

    def _one_run(self, kind: Kind) -> tuple[int, str]:
        """Launch a process and wait for its end; its pid, and how it ended."""
        try:
            child = self._begin()
        except OSError as error:
            return 0, f"cannot be launched: {error}"
        if child is None:
            return 0, "was not launched"
        self._launch.report(Event(kind, self._number, child.pid))
        if child.wait_ready():
            self.ready.set()
        code = child.wait()
        with self._lock:
            self._child = None
        return child.pid, ending(code)

    def _begin(self) -> Child | None:
        """The launched process; None where `stop` came first."""
        with self._lock:
            if self._stopping.is_set():
                return None
            self._child = self._launch(self._id)
            return self._child


def _ignore(_event: Event) -> None:
    """For those who do not want to know."""
