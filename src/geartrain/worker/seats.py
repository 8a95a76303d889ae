"""Threads that execute, each in a seat, and how what runs there is stopped from outside.

    running = ... ──> runs ──leave──> free
                       └──abort: `Aborted` is raised in the thread──> leave ──> free

The exception comes at any instruction up to the end of `leave`, and not behind it: under the seat's lock an execution
either has left, and is not aborted any more, or its exception is taken back. So whoever executes writes

    try:
        try:
            seat.running = running
            ...
        except BaseException: ...
        seat.leave()
    except Aborted:
        seat.leave()

and asks `running.aborted` then. `with` takes a lock so that no exception can come between that
and the block (CPython looks for one at calls and at jumps backward). A thread that waits within C code (a `time.sleep`,
another library's socket) gets the exception when that is over; waiting for the server's replies and for coroutines is
ended by `Context.interrupt`.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Iterable, Sequence
from operator import length_hint
from typing import Any

from geartrain.errors import Aborted
from geartrain.resp3 import text_of
from geartrain.runtime import Context
from geartrain.worker.deployment import Deployment

_PATIENCE = 0.5
"""Seconds after which an aborted execution that is still there gets the exception again, and its connections end: it
waits for them, or a bare `except:` in it took the first one."""


class Running:
    """An execution, while it runs and then until it is kept. Most attributes are never set, so it has no `__slots__`.

    Args:
        deployment: the code.
        context: of its thread.

    Attributes:
        began: when, by `time.perf_counter`.
        records: those that its first step has not taken yet.
        shown: whether it is to be kept while it runs.
        id: under which it is kept; '' while it is not.
        aborted: whether somebody has aborted it.
        duration: seconds that it took, when it has ended.
        results: its results.
        error: what it raised, or None.
    """

    records: Iterable[Any] = ()
    shown = False
    id = ""
    aborted = False
    duration = 0.0
    results: Sequence[Any] = ()
    error: BaseException | None = None
    _left = -1
    _moved = 0.0
    _told = 0.0

    def __init__(self, deployment: Deployment, context: Context) -> None:
        self.deployment = deployment
        self.context = context
        self.began = time.perf_counter()

    def end(self) -> None:
        """It has left its seat."""
        self.duration = time.perf_counter() - self.began
        if self.aborted:
            # Whatever the user's code made of the exception: whoever asked was told that it is aborted.
            self.results, self.error = (), Aborted("execution aborted")

    @property
    def shown_results(self) -> Sequence[Any]:
        """The results as callers get them: as text, where the registration has `convertToStr`.

        Made only when somebody is to see them: of most executions nobody ever does.
        """
        return list(map(text_of, self.results)) if self.deployment.registration.convert else self.results

    def idle(self, now: float) -> float:
        """Seconds without progress, as far as was seen by earlier calls: no record was taken by the first step.

        Args:
            now: of `time.perf_counter`.
        """
        left = length_hint(self.records)
        if left != self._left:
            self._left, self._moved = left, now
        return now - self._moved

    def told(self) -> bool:
        """The execution is to be aborted now; whether it was told so before."""
        before, self.aborted, self._told = self.aborted, True, time.monotonic()
        return before

    @property
    def patient(self) -> bool:
        """Whether it was told a moment ago, and may still be about to end."""
        return self.aborted and time.monotonic() < self._told + _PATIENCE


class Seat:
    """One thread's; made by that thread.

    Attributes:
        running: what runs there, or None.
    """

    __slots__ = ("_lock", "_thread", "running")

    def __init__(self) -> None:
        self.running: Running | None = None
        self._thread = threading.get_ident()
        self._lock = threading.Lock()

    def leave(self) -> None:
        """The execution has ended; in its thread.

        Raises:
            Aborted: an abort came at the last moment, and `leave` is to be called again.
        """
        with self._lock:
            running, self.running = self.running, None
            if running is not None and running.aborted:
                _raise_in(self._thread, None)

    def show(self, running: Running) -> bool:
        """It is to be kept while it runs; False where it has ended, and nobody knows that it was."""
        with self._lock:
            if self.running is running:
                running.shown = True
            return running.shown

    def abort(self, running: Running) -> bool:
        """End an execution, from any other thread; False where it has ended."""
        with self._lock:
            if self.running is not running:
                return False
            if running.patient:
                return True
            again = running.told()
            _raise_in(self._thread, Aborted)
        running.context.interrupt(hard=again)
        return True


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Have a thread raise an exception at its next instruction; None: not any more, if it has not come yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None if kind is None else ctypes.py_object(kind))
