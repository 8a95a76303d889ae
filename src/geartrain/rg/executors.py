"""Executor processes, as the service sees them: started as needed, used again, replaced when they die.

    starting ──> busy ──Done──> idle ──the next task──> busy
                  └──its process ends──> gone            └──not needed for a while──> gone

A script runs in the main thread of one process, alone there: it may use signals, and it may be ended. One idle process
is kept for each environment, so that the next script need not wait for Python to start.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Pipe
from typing import Any

from geartrain.config import URL_VARIABLE
from geartrain.environments import python_of
from geartrain.rg.idle import Watch
from geartrain.rg.messages import FD_VARIABLE, OWNER_VARIABLE, Abort, Answer, Begun, Done, Ended, Moved, Task
from geartrain.worker.child import ending

logger = logging.getLogger("geartrain.rg")

_IDLE = 10.0
"""Seconds after which an idle process is ended, where there is another one."""

_PATIENCE = 2.0
"""Seconds that an aborted execution has to end by itself; then its process is killed."""

_LOOK = 0.5
"""Seconds between two looks whether a silent process still runs."""


class Died(Exception):
    """The process ended before the task did; the message says how.

    Attributes:
        execution: the id of what it executed; '' where there was none.
        aborted: whether it was ended because that was to be aborted.
    """

    def __init__(self, message: str, execution: str, *, aborted: bool) -> None:
        self.execution = execution
        self.aborted = aborted
        super().__init__(message)


class Executor:
    """One process. `run` is for one thread at a time; `abort` and `kill` for any.

    Args:
        python: its interpreter.
        url: the server.
        owner: the control lane on which its executions can be aborted.

    Attributes:
        execution: the id of what it executes; '' while there is none.
        idle_since: when it had nothing to do any more, by `time.monotonic`.
    """

    def __init__(self, python: str, url: str, owner: str) -> None:
        self._connection, theirs = Pipe()
        command = (python, "-u", "-P", "-m", "geartrain.rg.executor")
        told = {URL_VARIABLE: url, FD_VARIABLE: str(theirs.fileno()), OWNER_VARIABLE: owner}
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreters and module
                command,
                env={**os.environ, **told},
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self.execution = ""
        self.idle_since = 0.0
        self._killed = False
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def run(self, task: Task, answer: Callable[[bytes], None]) -> None:
        """Run a task to its end; `answer` is called once, when its client can be answered.

        Raises:
            Died: the process ended; `answer` may have been called.
        """
        watch = Watch(task.max_idle)
        try:
            self._send(task)
            while True:
                match self._receive(watch):
                    case Begun(execution):
                        self.execution = execution
                        watch.begin()
                    case Moved(slack):
                        watch.moved(slack)
                    case Ended():
                        watch.end()
                    case Answer(blob):
                        answer(blob)
                    case Done():
                        return
        except (EOFError, OSError):
            how = ending(self._end())
            raise Died(f"the script's process {how}", self.execution, aborted=self._killed) from None
        finally:
            self.idle_since = time.monotonic()

    def abort(self, execution: str) -> bool:
        """End an execution; False where it does not run here. Returns when it has ended, or its process has."""
        if not execution or self.execution != execution:
            return False
        with suppress(OSError):
            self._send(Abort(execution))
        if not self._ends(execution):
            logger.warning("an execution did not end when it was aborted; its process %d is killed", self.pid)
            self._killed = True
            self.kill()
            self._ends(execution)
        return True

    def _ends(self, execution: str) -> bool:
        """Wait for the end of an execution; False where it does not come."""
        until = time.monotonic() + _PATIENCE
        while self.execution == execution and time.monotonic() < until:
            time.sleep(0.005)
        return self.execution != execution

    def kill(self) -> None:
        """End the process now."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """End the process, which is idle or to be given up."""
        self._connection.close()
        self.kill()
        self._process.wait()

    def _receive(self, watch: Watch) -> Any:
        while not self._connection.poll(watch.rest(_LOOK)):
            if watch.over:
                watch.end()
                self._abort_idle(watch.limit)
            # Not left to the end of input: a process that user code forked may hold the socket open.
            if not self.alive and not self._connection.poll():
                raise EOFError
        return self._connection.recv()

    def _abort_idle(self, limit: float) -> None:
        """Abort what is executed; in a thread, as this one has to hear that it has ended."""
        execution = self.execution
        text = "%s: an execution made no progress for %g s (ExecutionMaxIdleTime) and is aborted"
        logger.warning(text, execution, limit)
        threading.Thread(target=self.abort, args=(execution,), name="geartrain-abort", daemon=True).start()

    def _send(self, message: Any) -> None:
        with self._lock:
            self._connection.send(message)

    def _end(self) -> int:
        """How it ended; it may have closed its socket and still run."""
        try:
            return self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()


class Executors:
    """All executor processes of a service. Thread-safe.

    Args:
        url: the server.
        owner: the control lane on which executions can be aborted.
    """

    def __init__(self, url: str, owner: str) -> None:
        self._url = url
        self._owner = owner
        self._lock = threading.Lock()
        self._idle: dict[str, list[Executor]] = {}
        self._busy: dict[Executor, str] = {}
        self._closed = False

    def run(self, task: Task, answer: Callable[[bytes], None], died: Callable[[Died], None]) -> None:
        """Run a task in a process of its environment, to its end.

        Args:
            task: the task.
            answer: called when its client can be answered.
            died: called where the process ended before the task did; `answer` may have been called.
        """
        executor = self._take(task.terms.environment)
        try:
            executor.run(task, answer)
        except Died as death:
            died(death)
        finally:
            self._give_back(executor)

    def abort(self, execution: str) -> bool:
        """End an execution; False where none of these processes has it."""
        with self._lock:
            busy = list(self._busy)
        return any(executor.abort(execution) for executor in busy)

    def prune(self) -> None:
        """End idle processes that are too many."""
        old = time.monotonic() - _IDLE
        gone: list[Executor] = []
        with self._lock:
            for idle in self._idle.values():
                gone += [item for item in idle[:-1] if item.idle_since < old]
                idle[:] = [item for item in idle if item not in gone]
        for executor in gone:
            executor.close()

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            self._closed = True
            everybody = [*self._busy, *(item for idle in self._idle.values() for item in idle)]
            self._idle.clear()
        for executor in everybody:
            executor.kill()

    @property
    def pids(self) -> list[int]:
        """The processes."""
        with self._lock:
            return [item.pid for item in (*self._busy, *(one for idle in self._idle.values() for one in idle))]

    def _take(self, environment: str) -> Executor:
        with self._lock:
            idle = self._idle.get(environment, [])
            while idle:
                executor = idle.pop()
                if executor.alive:
                    self._busy[executor] = environment
                    return executor
        executor = Executor(python_of(environment), self._url, self._owner)
        with self._lock:
            self._busy[executor] = environment
        return executor

    def _give_back(self, executor: Executor) -> None:
        executor.execution = ""
        with self._lock:
            environment = self._busy.pop(executor)
            keep = executor.alive and not self._closed
            if keep:
                self._idle.setdefault(environment, []).append(executor)
        if not keep:
            executor.close()
