"""Whether an execution has made no progress for too long."""

from __future__ import annotations

from queue import SimpleQueue

import pytest

from geartrain.pipeline import Progress
from geartrain.rg.config import Config
from geartrain.rg.idle import LEAST, Reporter, Watch
from geartrain.rg.messages import Moved


@pytest.fixture
def clock(monkeypatch):
    """`clock[0]`: the time, in seconds."""
    now = [100.0]
    monkeypatch.setattr("geartrain.rg.idle.time.monotonic", lambda: now[0])
    return now


def test_silence_for_longer_than_the_limit_is_too_long(clock):
    """A pause between two messages is added; each message begins anew."""
    watch = Watch(4)
    watch.begin()
    clock[0] += 4
    assert not watch.over
    watch.moved()
    clock[0] += 4.1
    assert not watch.over
    assert watch.rest(9) == pytest.approx(0.15)
    clock[0] += 0.2
    assert watch.over
    assert watch.rest(9) == 0


def test_what_is_heard_of_late_is_waited_for(clock):
    """Once somebody else does a part of the execution, to its end."""
    watch = Watch(1)
    watch.begin()
    watch.moved(1.5)
    watch.moved()
    clock[0] += 2.6
    assert not watch.over
    clock[0] += 0.2
    assert watch.over


def test_only_what_runs_is_watched(clock):
    """Not before its begin, nor after its end."""
    watch = Watch(1)
    clock[0] += 10
    assert (watch.over, watch.rest(0.5)) == (False, 0.5)
    watch.begin()
    watch.end()
    clock[0] += 10
    assert (watch.over, watch.rest(0.5)) == (False, 0.5)


def test_without_a_limit_nothing_is_too_long(clock):
    """0 is for ever."""
    watch = Watch(0)
    watch.begin()
    clock[0] += 1e9
    assert (watch.over, watch.rest(0.5)) == (False, 0.5)


def test_a_limit_that_is_too_short_is_longer(clock):
    """Nobody could report as often."""
    watch = Watch(0.001)
    watch.begin()
    clock[0] += LEAST
    assert not watch.over


def test_progress_is_reported_where_there_is_some():
    """With what may be late; and not after the end."""
    said: SimpleQueue[Moved] = SimpleQueue()
    progress = Progress()
    reporter = Reporter(progress, LEAST, said.put)
    reporter.start()
    progress.moved()
    assert said.get(timeout=10) == Moved(0.0)
    progress.late(1.5)
    assert said.get(timeout=10) == Moved(1.5)
    reporter.end()
    assert said.empty()


def test_the_limit_is_that_which_was_set():
    """Not the default that RG.CONFIGGET tells."""
    name = "ExecutionMaxIdleTime"
    assert Config({}, {}).number(name) == 5000
    assert Config({}, {}).set_number(name) == 0
    assert Config({name.lower(): "300"}, {}).set_number(name) == 300
    assert Config({name.lower(): "300"}, {name: "0"}).set_number(name) == 0
    assert Config({}, {name: "soon"}).set_number(name) == 0
