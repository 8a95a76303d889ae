"""Captured processes: their output while they run, their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from support.processes import CapturedProcess, environment
from support.waiting import wait_for

SLEEPER = "import signal, sys; print('ready', flush=True); print('oops', file=sys.stderr, flush=True); signal.pause()"


@pytest.fixture
def sleeper():
    """A process that prints two lines and waits."""
    process = CapturedProcess(sys.executable, "-c", SLEEPER)
    yield process
    process.kill()


def test_a_line_is_seen_while_the_process_runs(sleeper):
    """Lines of both outputs are found, and the match gives their parts."""
    assert sleeper.wait_for_line(r"^re(ady)$").group(1) == "ady"
    assert sleeper.wait_for_line("oops")
    assert sleeper.running
    assert (sleeper.stdout, sleeper.stderr) == ("ready\n", "oops\n")


def test_a_line_that_does_not_come_fails_with_all_output(sleeper):
    """What the process said instead is in the message."""
    sleeper.wait_for_line("oops")
    with pytest.raises(AssertionError, match=r"(?s)no line like 'never'.*ready.*oops"):
        sleeper.wait_for_line("never", timeout=0.05)


def test_a_process_that_ended_without_the_line_fails_at_once():
    """Nobody waits for a process that has ended."""
    process = CapturedProcess(sys.executable, "-c", "raise SystemExit(3)")
    with pytest.raises(AssertionError, match="ended with 3"):
        process.wait_for_line("ready")


def test_a_terminated_process_gives_its_exit_code(sleeper):
    """SIGTERM ends it; the code is the signal's, negative, as it has no handler."""
    sleeper.wait_for_line("ready")
    assert sleeper.terminate() == -signal.SIGTERM
    assert not sleeper.running


def test_a_killed_process_takes_its_children_with_it():
    """No child is left behind by `kill`."""
    child = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print('child', p.pid, flush=True); p.wait()"
    process = CapturedProcess(sys.executable, "-c", child)
    pid = int(process.wait_for_line(r"child (\d+)").group(1))
    process.kill()
    wait_for(lambda: not lives(pid), message="the child's end")


def test_settings_of_the_developer_do_not_reach_the_process(monkeypatch):
    """GEARTRAIN_* variables of the test run are left out; those that a test gives are kept."""
    monkeypatch.setenv("GEARTRAIN_URL", "redis://elsewhere")
    variables = environment({"GEARTRAIN_SECRET": "s"})
    assert "GEARTRAIN_URL" not in variables
    assert variables["GEARTRAIN_SECRET"] == "s"
    assert variables["PATH"] == os.environ["PATH"]


def lives(pid: int) -> bool:
    """Whether a process lives; one that has ended and was not collected yet does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state) and not state.startswith("Z")
