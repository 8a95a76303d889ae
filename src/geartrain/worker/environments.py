"""Workers for sessions with requirements: this one makes the environment, and runs a worker of its interpreter.

A worker process serves one environment: those that people start serve sessions without requirements, and start one
process more for each other environment that some registration needs. That one takes its partitions as any worker does,
with a lease of its own; it ends with this worker, or when nothing needs it any more.

    MAKING ──made──> SERVING ──the environment is gone──> MAKING
      └──failed──> RESTING ──back-off──> MAKING
    any ──not needed any more, or this worker stops──> ENDED
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from geartrain.builder.requests import Mode
from geartrain.config import WorkerSettings
from geartrain.environments import PYTHON, Cancelled, fits, make, python_of
from geartrain.environments.pip import MAX_IDLE
from geartrain.errors import GeartrainError, RequirementsError, ServerUnavailable, UnknownRegistration
from geartrain.registry import Snapshot, Status, Store, gearsconfig
from geartrain.registry.code import check
from geartrain.wire import Endpoint, access
from geartrain.worker.child import COMMAND
from geartrain.worker.policy import backoff
from geartrain.worker.supervisor import Event, Kind, Supervisor

logger = logging.getLogger("geartrain.worker")

ENVIRONMENT_OPTION = "--environment"

FIRST_REST = 15.0
"""Seconds until an environment that could not be made is tried again; doubles with each failure in a row."""

LONGEST_REST = 900.0

_LOOK = 60.0
"""Seconds between two looks whether an environment that is in use is still there; each notes that it is used."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An environment that cannot be made here.

    Attributes:
        environment: its name.
        message: why.
        output: pip's; None where it did not run.
    """

    environment: str
    message: str
    output: str | None


class Environments:
    """What this worker does for other environments than its own. For the main thread.

    Args:
        endpoint: the server.
        settings: of the workers that are started.
        own: this worker's environment; one that has one does nothing for others.
        wake: called, from any thread, when there is a failure, or when `settled` may be another.
    """

    def __init__(self, endpoint: Endpoint, settings: WorkerSettings, own: str, wake: Callable[[], None]) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._own = own
        self._wake = wake
        self._snapshot = Snapshot(-1, {}, {})
        self._kept: dict[str, _Keeper] = {}
        self._ending: list[_Keeper] = []
        self._failures: deque[Failure] = deque()

    def follow(self, snapshot: Snapshot) -> None:
        """Keep what the registry needs now, and nothing else."""
        self._snapshot = snapshot
        needed = {} if self._own else _needed(snapshot)
        for environment in self._kept.keys() - needed.keys():
            self._end(environment)
        for environment, (version, session) in needed.items():
            keeper = self._kept.get(environment)
            if keeper is None:
                keeper = _Keeper(self._endpoint, self._settings, environment, self._failures.append, self._wake)
                self._kept[environment] = keeper
            keeper.need(session, version)

    @property
    def settled(self) -> bool:
        """Whether each environment has a worker whose registrations are live, or could not be made."""
        return all(keeper.settled.is_set() for keeper in self._kept.values())

    def failures(self) -> list[Failure]:
        """What has failed since the last call."""
        found = []
        while self._failures:
            found.append(self._failures.popleft())
        return found

    def concerned(self, environment: str) -> list[str]:
        """Ids of the registrations that need an environment."""
        return [name for name, item in self._snapshot.registrations.items() if item.environment == environment]

    def stop(self) -> None:
        """Let all end; returns at once."""
        for environment in list(self._kept):
            self._end(environment)

    def wait(self, deadline: float) -> None:
        """Wait until all have ended that should, until `deadline` (monotonic); then they are killed."""
        for keeper in self._ending:
            keeper.join(max(0.0, deadline - time.monotonic()))
        for keeper in self._ending:
            keeper.kill()

    def _end(self, environment: str) -> None:
        self._ending = [keeper for keeper in self._ending if keeper.is_alive()]
        keeper = self._kept.pop(environment)
        keeper.end()
        self._ending.append(keeper)


def _needed(snapshot: Snapshot) -> dict[str, tuple[int, str]]:
    """The environments that registrations need which are to run in workers with this Python.

    With each: the code version of the registration that was submitted last, and its session.
    """
    needed: dict[str, tuple[int, str]] = {}
    for name, item in snapshot.registrations.items():
        is_ours = item.environment and item.python == PYTHON and item.mode is not Mode.SYNC
        if is_ours and snapshot.status[name] is Status.ACTIVE:
            latest = (item.code_version, item.session)
            needed[item.environment] = max(needed.get(item.environment, latest), latest)
    return needed


class _Keeper(threading.Thread):
    """Makes one environment, and keeps its worker running.

    Attributes:
        settled: whether the worker's registrations are live, or the environment could not be made.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: WorkerSettings,
        environment: str,
        report: Callable[[Failure], None],
        wake: Callable[[], None],
    ) -> None:
        super().__init__(name=f"geartrain-environment-{environment}", daemon=True)
        self.settled = threading.Event()
        self._session, self._version = "", 0
        self._endpoint = endpoint
        self._settings = settings
        self._environment = environment
        self._report = report
        self._wake = wake
        self._ended = threading.Event()
        self._again = threading.Event()
        self._supervisor: Supervisor | None = None

    def need(self, session: str, version: int) -> None:
        """Begin, if it has not; who submits a session after a failure wants another try now.

        Args:
            session: one that needs the environment; its requirements are signed with its code.
            version: of its code.
        """
        is_newer = version > self._version
        self._session, self._version = session, version
        if not self.ident:
            self.start()
        elif is_newer:
            self._again.set()

    def end(self) -> None:
        """Stop the worker in good order, or pip; returns at once."""
        self._ended.set()
        self._again.set()

    def kill(self) -> None:
        """End the worker at once, if there is one."""
        if self._supervisor is not None:
            self._supervisor.kill()

    def run(self) -> None:
        """As the states in the module's docstring."""
        failures = 0
        while not self._ended.is_set():
            try:
                self._make()
                failures = 0
                self._serve(python_of(self._environment))
            except Cancelled:
                return
            except (ServerUnavailable, UnknownRegistration):
                # The main thread says so in the log; or the registry has changed, and it will tell.
                failures += 1
                self._again.wait(backoff(failures))
            except GeartrainError as error:
                failures += 1
                self._tell(error)
                self._again.wait(min(LONGEST_REST, FIRST_REST * 2.0 ** (min(failures, 10) - 1)))

    def _make(self) -> None:
        self._again.clear()
        session = self._session
        with access(self._endpoint, "geartrain:environment") as link:
            parcel = Store(link).parcel(session)
            max_idle = gearsconfig.read(link).install_max_idle or MAX_IDLE
        check(parcel)
        if not fits(self._environment, parcel.requirements):
            raise UnknownRegistration(f"session {session!r} was submitted with other requirements meanwhile")
        make(self._environment, parcel.requirements, max_idle=max_idle, cancelled=self._ended.is_set)

    def _serve(self, python: str) -> None:
        """Run a worker until it is not needed any more, or its environment is gone."""
        command = (python, *COMMAND[1:], ENVIRONMENT_OPTION, self._environment)
        self._supervisor = Supervisor(self._endpoint.url, 1, self._settings, on_event=self._log, command=command)
        self._supervisor.start()
        try:
            self._watch(self._supervisor)
        finally:
            self._supervisor.stop()

    def _watch(self, supervisor: Supervisor) -> None:
        while not self._ended.is_set():
            if not self.settled.is_set():
                if supervisor.wait_ready(0.1):
                    self.settled.set()
                    self._wake()
            elif not self._ended.wait(_LOOK) and not self._is_there():
                logger.warning("environment %s: it is gone, and made again", self._environment)
                return

    def _is_there(self) -> bool:
        try:
            python_of(self._environment)
        except RequirementsError:
            return False
        return True

    def _log(self, event: Event) -> None:
        level = logging.WARNING if event.kind is Kind.DIED else logging.INFO
        logger.log(level, "environment %s: %s", self._environment, event)

    def _tell(self, error: GeartrainError) -> None:
        output = error.output or None if isinstance(error, RequirementsError) else None
        self._report(Failure(self._environment, str(error), output))
        self.settled.set()
        self._wake()
