"""Threads in the place of those that wait."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError

import pytest

from geartrain.runtime import background
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


def test_a_thread_that_waits_says_so_itself():
    """When it has waited for a moment; threads of no kind are not counted."""
    started = []
    one = Hands(1, lambda: started.append(threading.current_thread().name))

    def work(hands):
        if hands is not None:
            hands.mine()
        with pytest.raises(CancelledError), background._threads.idle():
            raise CancelledError

    for name, hands in (("other", None), ("mine", one)):
        thread = threading.Thread(target=work, args=(hands,), name=name)
        thread.start()
        thread.join()
    assert started == ["mine"]
