"""Executions in their seats: an abort comes before the execution has left, or not at all."""

from __future__ import annotations

import sys
import threading
import time
from types import SimpleNamespace

import pytest

from geartrain.errors import Aborted
from geartrain.worker.seats import Running, Seat
from support.waiting import wait_for


class Context:
    """Counts how often it was interrupted, softly and hard."""

    def __init__(self):
        self.interrupted = []

    def interrupt(self, *, hard):
        """As the real one's."""
        self.interrupted.append(hard)


def new_running():
    """An execution of nothing."""
    return Running(SimpleNamespace(), Context())


class Thread(threading.Thread):
    """A thread that executes `work` in a seat, once; what it raised is in `raised`.

    Args:
        work: called in the seat.
    """

    def __init__(self, work):
        super().__init__(daemon=True)
        self.seat = None
        self.running = new_running()
        self.raised = []
        self._work = work
        self.start()
        wait_for(lambda: self.seat is not None)

    def run(self):
        """Execute, as workers do."""
        self.seat = Seat()
        try:
            try:
                self.seat.running = self.running
                self._work()
            except BaseException as error:  # noqa: BLE001
                self.raised.append(error)
            self.seat.leave()
        except Aborted:
            self.seat.leave()
        # What came behind the seat would end the thread, and the test with it.
        for _ in range(1000):
            time.monotonic()


def loop():
    """Work that never ends."""
    while True:
        time.monotonic()


def test_an_aborted_execution_ends():
    """By an exception that no `except Exception` catches; its seat is free."""
    thread = Thread(loop)
    wait_for(lambda: thread.seat.running is thread.running)
    assert thread.seat.abort(thread.running)
    thread.join(5)
    assert [type(error) for error in thread.raised] == [Aborted]
    assert not isinstance(thread.raised[0], Exception)
    assert thread.running.aborted
    assert thread.seat.running is None


def test_what_has_ended_is_not_aborted():
    """Nor shown as running."""
    thread = Thread(lambda: None)
    thread.join(5)
    assert not thread.seat.abort(thread.running)
    assert not thread.seat.show(thread.running)
    assert not thread.running.aborted


class Busy(threading.Thread):
    """Executes short executions in one seat, one after the other, until `stop` is set."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seat = None
        self.stop = threading.Event()
        self.ended = 0
        self.raised = []
        self.start()
        wait_for(lambda: self.ended)

    def run(self):
        """As workers do."""
        self.seat = Seat()
        while not self.stop.is_set():
            running = new_running()
            try:
                try:
                    self.seat.running = running
                    for _ in range(5):
                        time.monotonic()
                except Aborted:
                    self.raised.append(running)
                self.seat.leave()
            except Aborted:
                self.seat.leave()
            self.ended += 1


@pytest.fixture
def _hasty():
    """Threads take turns often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_hasty")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # within the gc
def test_no_exception_comes_behind_the_seat():
    """Aborts at any moment of short executions: each ends its own execution or nothing, and the thread goes on."""
    thread = Busy()
    aborted = []
    until = time.monotonic() + 1
    while time.monotonic() < until:
        running = thread.seat.running
        if running is not None and thread.seat.abort(running):
            aborted.append(running)
    after = thread.ended
    wait_for(lambda: thread.ended > after)
    thread.stop.set()
    thread.join(5)
    assert not thread.is_alive()
    assert len(aborted) > 10
    assert all(running.aborted for running in aborted)
    assert set(thread.raised) <= set(aborted)


def test_who_swallows_the_exception_gets_it_again(monkeypatch):
    """Not at once: it may be about to end. Then its connections end too."""
    monkeypatch.setattr("geartrain.worker.seats._PATIENCE", 0.1)
    swallowed = threading.Event()

    def work():
        try:
            loop()
        except BaseException:  # noqa: BLE001
            swallowed.set()
        loop()

    thread = Thread(work)
    wait_for(lambda: thread.seat.running is thread.running)
    assert thread.seat.abort(thread.running)
    assert swallowed.wait(5)
    assert thread.seat.abort(thread.running)
    wait_for(lambda: not thread.seat.abort(thread.running) or not thread.is_alive())
    thread.join(5)
    assert [type(error) for error in thread.raised] == [Aborted]
    assert thread.running.context.interrupted == [False, True]


def test_progress_is_a_record_that_is_taken():
    """Idle is the time since the last one was, as far as anybody looked."""
    running = new_running()
    running.records = iter([1, 2, 3])
    assert running.idle(100.0) == 0
    assert running.idle(101.0) == 1
    next(running.records)
    assert running.idle(102.0) == 0
    assert running.idle(105.0) == 3
