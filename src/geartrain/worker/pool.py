"""Execution threads, and the queue of partitions that have something for them to do, now or at a certain time."""

from __future__ import annotations

import heapq
import logging
import threading
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Protocol

from geartrain.runtime import Context, enter
from geartrain.wire import Endpoint
from geartrain.worker.hands import Hands

logger = logging.getLogger("geartrain.worker")


class Task(Protocol):
    """A partition, as the pool sees it."""

    def work(self, context: Context) -> None:
        """Execute what is ready, for a bounded time; raises nothing."""

    def due(self, timer: int) -> None:
        """A timer has come; `timer` tells whether it is still the one that counts."""


class Pool:
    """A number of threads; more of them while some only wait for coroutines (`hands`).

    Args:
        endpoint: where the executions' commands go.
        threads: how many.
        clock: seconds, monotonic.
    """

    def __init__(self, endpoint: Endpoint, threads: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._condition = threading.Condition()
        self._ready: deque[Task] = deque()
        self._timers: list[tuple[float, int, Task]] = []
        self._numbers = count(1)
        self._stopping = False
        self._endpoint = endpoint
        self._hands = Hands(threads, self._start)
        self._threads: list[threading.Thread] = []
        self._wanted = threads

    def start(self) -> None:
        """Start the threads."""
        for _ in range(self._wanted):
            self._start()

    def _start(self) -> None:
        number = len(self._threads) + 1
        thread = threading.Thread(target=self._run, args=(number,), name=f"geartrain-exec-{number}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def now(self, task: Task) -> None:
        """Run `task.work` as soon as a thread is free."""
        with self._condition:
            self._ready.append(task)
            self._condition.notify()

    def later(self, task: Task, at: float) -> int:
        """Call `task.due` at a time of the clock; returns the timer's number."""
        with self._condition:
            number = next(self._numbers)
            heapq.heappush(self._timers, (at, number, task))
            if self._timers[0][1] == number:
                self._condition.notify()
            return number

    def stop(self, deadline: float) -> bool:
        """Let running work end, until a time of the clock; returns whether all of it did."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - self._clock()))
        return not any(thread.is_alive() for thread in threads)

    def _run(self, number: int) -> None:
        context = Context(self._endpoint, f"geartrain:exec-{number}")
        enter(context)
        self._hands.mine()
        try:
            while (task := self._next()) is not None:
                task.work(context)
        except BaseException:
            logger.critical("an execution thread ended: this is a bug in Geartrain", exc_info=True)
            raise
        finally:
            context.close()

    def _next(self) -> Task | None:
        with self._condition:
            while not self._stopping:
                if self._hands.spare():
                    # What woke this one is for another.
                    self._condition.notify()
                    self._threads.remove(threading.current_thread())
                    return None
                wait = self._fire_timers()
                if self._ready:
                    return self._ready.popleft()
                self._condition.wait(wait)
            return None

    def _fire_timers(self) -> float | None:
        """Hand over the timers that have come; returns the seconds until the next one.

        `due` may take its partition's lock and call `now` or `later`, so it is called without ours.
        """
        now = self._clock()
        while self._timers and self._timers[0][0] <= now:
            _, number, task = heapq.heappop(self._timers)
            self._condition.release()
            try:
                task.due(number)
            finally:
                self._condition.acquire()
        return max(0.0, self._timers[0][0] - now) if self._timers else None
