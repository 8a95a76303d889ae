"""Threads in the place of those that wait."""

from __future__ import annotations

import threading

from geartrain.runtime.background import _idle, while_waiting
from geartrain.worker import hands
from geartrain.worker.hands import Hands


def test_one_that_waits_is_replaced_and_is_then_one_too_many():
    """Whichever is free first ends, once."""
    started = []
    two = Hands(2, lambda: started.append(1))
    assert not two.spare()
    with two.waiting():
        assert started == [1]
        assert not two.spare()
    assert two.spare()
    assert not two.spare()


def test_as_many_are_started_as_wait(monkeypatch):
    """Up to a bound: then those that wait are fewer than are wanted."""
    monkeypatch.setattr("geartrain.worker.hands.MOST", 3)
    started = []
    one = Hands(1, lambda: started.append(1))
    with one.waiting(), one.waiting(), one.waiting():
        assert len(started) == 2
    assert [one.spare() for _ in range(3)] == [True, True, False]


def test_threads_of_no_kind_are_not_counted():
    """Scripts wait too."""
    started = []
    one = Hands(1, lambda: started.append(threading.current_thread().name))
    before = _idle
    hands.install()
    try:
        with hands._waiting():
            assert started == []
        thread = threading.Thread(target=lambda: (one.mine(), hands._waiting().__enter__()), name="mine")
        thread.start()
        thread.join()
        assert started == ["mine"]
    finally:
        while_waiting(before)
