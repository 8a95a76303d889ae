"""An executor process: `python -m geartrain.rg.executor`, as the service starts it. Runs scripts, one after the other.

    main thread      a task -> the script, then its execution -> the answer
    control thread   takes tasks and orders from the service, and ends this process when the service has ended
    progress thread  says that the execution goes on, where that is asked (`geartrain.rg.idle`)

An abort is a signal to the main thread; its handler raises `Aborted`, which ends what waits (`time.sleep`, a socket).
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from cProfile import Profile
from dataclasses import replace
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import FrameType
from typing import Any

from geartrain.builder import Step
from geartrain.client import Client, Outcome
from geartrain.config import URL_VARIABLE, Dialect
from geartrain.errors import Aborted, GeartrainError, ScriptError, message_of
from geartrain.pipeline import Progress, watching
from geartrain.registry import profiles
from geartrain.registry.executions import Executions, Kept, State, Yield, plan_of
from geartrain.resp3 import Error, Status, encode, encode_array
from geartrain.rg.idle import Reporter
from geartrain.rg.messages import ABORTED, FD_VARIABLE, OWNER_VARIABLE, Abort, Answer, Begun, Done, Ended, Task
from geartrain.runtime import names
from geartrain.wire import ClusterLink, access

logger = logging.getLogger("geartrain.rg")

MOST_BYTES = 256 * 1024 * 1024
"""Bytes of results and errors that are answered and kept. The server takes 512 MB in one argument."""

_SIGNAL = signal.SIGUSR2

_SIGNAL_INTERVAL = 0.02
"""Seconds between two signals to an execution that is to end."""

_AGAIN = 0.5
"""Seconds after which an execution that goes on gets the exception again: a bare `except:` in it took the first one."""

_PATH = "<string>"


class Executor:
    """The process.

    Args:
        url: the server.
        connection: to the service.
        owner: the control lane on which executions can be aborted.

    Attributes:
        owner: as given.
    """

    def __init__(self, url: str, connection: Connection, owner: str) -> None:
        self.owner = owner
        self._client = Client(url)
        self._executions = Executions(access(self._client.endpoint, "geartrain:rg:executor"))
        self._connection = connection
        # The main thread takes it where it cannot be interrupted only: an exception must not leave half of a message.
        self._sending = threading.Lock()
        self._reporter: Reporter | None = None
        self._tasks: SimpleQueue[Task] = SimpleQueue()
        # The execution that may be ended now, and the one that is to be: the handler raises where they are the same.
        # `_over` is the last one that has ended, for aborts that come too late.
        self._running = ""
        self._wanted = ""
        self._over = ""
        self._again = 0.0

    def run(self) -> None:
        """Run tasks until the service has ended."""
        signal.signal(_SIGNAL, self._interrupt)
        threading.Thread(target=self._control, name="geartrain-control", daemon=True).start()
        while True:
            answer = _Run(self._client, self, self._tasks.get(), self._executions).run()
            if answer is not None:
                self.send(Answer(answer))
            self.send(Done())

    def send(self, message: Any) -> None:
        """Tell the service something; in the main thread, not between `begins` and `ends`."""
        try:
            with self._sending:
                self._connection.send(message)
        except OSError:
            # The service has gone, and so do we.
            os._exit(1)

    def begins(self, execution: str, *, answer: bool, reporter: Reporter | None = None) -> None:
        """The task's execution has an id now: from here to `ends` it may be aborted, which raises Aborted.

        Args:
            execution: the id.
            answer: whether the client is answered with it now.
            reporter: tells its progress; None: nobody asks.
        """
        self.send(Begun(execution))
        if answer:
            self.send(Answer(encode(execution)))
        self._reporter = reporter
        if reporter is not None:
            reporter.start()
        self._running = execution
        self._interrupt()

    def ends(self) -> None:
        """Nothing is to be aborted any more."""
        if self._running:
            self._over = self._running
        self._running = self._wanted = ""
        self._again = 0.0
        reporter, self._reporter = self._reporter, None
        if reporter is not None:
            reporter.end()
            self.send(Ended())

    def _interrupt(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        now = time.monotonic()
        if self._running and self._running == self._wanted and now >= self._again:
            self._again = now + _AGAIN
            raise Aborted(ABORTED)

    def _control(self) -> None:
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                os._exit(1)
            if isinstance(message, Abort):
                self._wanted = message.execution
                threading.Thread(target=self._pester, args=(message.execution,), daemon=True).start()
            else:
                self._tasks.put(message)

    def _pester(self, execution: str) -> None:
        """Signal until the execution has ended.

        One signal may come to nothing: where the main thread has given up the interpreter for a system call, which is
        just when we get it, and has not entered that call yet.
        """
        while self._wanted == execution and self._over != execution:
            signal.pthread_kill(threading.main_thread().ident or 0, _SIGNAL)
            time.sleep(_SIGNAL_INTERVAL)


class _Run:
    """One task.

    Args:
        client: runs the script.
        executor: whose task it is.
        task: what is to be done.
        executions: where it is kept.
    """

    def __init__(self, client: Client, executor: Executor, task: Task, executions: Executions) -> None:
        self._client = client
        self._executor = executor
        self._task = task
        self._executions = executions
        self._executions.limits = task.limits
        self._kept: Kept | None = None
        self._profile = Profile() if task.profile else None
        self._progress = Progress() if task.max_idle else None
        self._clock = time.perf_counter()

    def run(self) -> bytes | None:
        """Run the script and its execution; the answer, None where it was given before."""
        outcome, error = self._outcome()
        # Again: an abort may have come into the first one.
        self._executor.ends()
        if self._kept is None:
            return encode(Status("OK") if error is None else self._told(error))
        given = self._given(outcome, error)
        self._end(self._kept, given, aborted=isinstance(error, Aborted))
        if not self._task.blocking:
            return None
        if error is not None and not self._gears:
            return encode(self._told(error))
        return b"*2\r\n" + given.results + given.errors

    @property
    def _gears(self) -> bool:
        return self._task.dialect is Dialect.REDISGEARS_1_2

    def _outcome(self) -> tuple[Outcome | None, BaseException | None]:
        """Run the script; what it did, or what it raised."""
        task = self._task
        try:
            try:
                if not task.blocking and not self._gears:
                    # `run()` executes while the script runs: all of it is the execution.
                    self._begin(())
                with watching(self._progress):
                    outcome = self._client.execute(
                        task.source,
                        session=task.session,
                        path=_PATH,
                        dialect=task.dialect,
                        terms=task.terms,
                        on_run=lambda request: self._begin(request.steps),
                        traceback=task.traceback,
                    )
            finally:
                if self._profile is not None:
                    self._profile.disable()
                self._executor.ends()
        except BaseException as error:  # noqa: BLE001 - user code may raise anything
            return None, error
        return outcome, None

    def _begin(self, steps: tuple[Step, ...]) -> None:
        if self._kept is not None:
            return
        self._clock = time.perf_counter()
        link = self._executions.link
        kept = Kept(
            session=self._task.session,
            owner=self._executor.owner,
            started=time.time(),
            shards_received=len(link.shards) if isinstance(link, ClusterLink) else 0,
            steps=plan_of(steps),
        )
        self._kept = replace(kept, id=self._executions.begin(kept))
        if self._profile is not None:
            self._profile.enable()
        progress = self._progress
        reporter = None if progress is None else Reporter(progress, self._task.max_idle, self._executor.send)
        self._executor.begins(self._kept.id, answer=not self._task.blocking, reporter=reporter)

    def _given(self, outcome: Outcome | None, error: BaseException | None) -> Yield:
        """Results and errors."""
        results, errors = ([], []) if outcome is None else (outcome.results, outcome.errors)
        if error is not None:
            errors = [str(self._told(error)) if not isinstance(error, Aborted) else ABORTED]
        self._counts = len(results), len(errors)
        given = Yield(encode_array(results), encode_array(errors))
        size = len(given.results) + len(given.errors)
        if size <= MOST_BYTES:
            return given
        text = f"the results are {size} bytes, more than the {MOST_BYTES} that can be answered; let the steps keep less"
        self._counts = 0, 1
        return Yield(errors=encode_array([text]))

    def _end(self, kept: Kept, given: Yield, *, aborted: bool) -> None:
        results, errors = self._counts
        ended = replace(
            kept,
            shards_completed=kept.shards_received,
            status=State.ABORTED if aborted else State.DONE,
            duration_us=round((time.perf_counter() - self._clock) * 1e6),
            results=results,
            errors=errors,
        )
        try:
            self._executions.end(ended, given)
            if self._profile is not None:
                profiles.add(self._executions.link, kept.session, self._profile)
        except GeartrainError as error:
            logger.warning("the execution %s is not kept: %s", kept.id, error)

    def _told(self, error: BaseException) -> Error:
        """An error, for the client."""
        if self._gears and self._task.traceback and isinstance(error, ScriptError) and error.trace:
            return Error(str(error.trace.splitlines(keepends=True)))
        cause = error.__cause__ if self._gears and isinstance(error, ScriptError) else None
        return Error(f"ERR {message_of(cause or error)}")


def main() -> None:
    """Run tasks until the service has ended."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s executor: %(message)s")
    logging.getLogger("geartrain").setLevel(logging.INFO)
    names.install()
    # Taken out: what user code starts is no executor.
    connection = Connection(int(os.environ.pop(FD_VARIABLE)))
    Executor(os.environ[URL_VARIABLE], connection, os.environ.pop(OWNER_VARIABLE)).run()


if __name__ == "__main__":
    main()
