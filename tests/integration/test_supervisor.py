"""The supervisor with small stand-ins for worker processes: what it does when they start, die, hang and stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from geartrain.config import WorkerSettings
from geartrain.errors import ArgumentError
from geartrain.worker import supervisor as supervision
from geartrain.worker.supervisor import Kind, Supervisor, rest
from support.waiting import wait_for

OBEDIENT = """
    import signal, sys
    from geartrain.worker.parent import Parent
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    parent = Parent.from_environment(patience=1)
    parent.follow()
    print("at work")
    parent.ready()
    signal.pause()
"""

DEAF = OBEDIENT.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN").replace(
    "signal.pause()", "while True: signal.pause()"
)

HOPELESS = "raise SystemExit(7)"


@pytest.fixture
def supervise():
    """Makes supervisors of stand-ins; whatever still runs after the test is killed."""
    made = []

    def make(script, processes=1, **options):
        command = (sys.executable, "-u", "-c", textwrap.dedent(script))
        events = []
        settings = WorkerSettings(stop_deadline=options.pop("stop_deadline", 30.0))
        supervisor = Supervisor(
            "redis://127.0.0.1:1", processes, settings, on_event=events.append, command=command, **options
        )
        made.append(supervisor)
        supervisor.start()
        return supervisor, events

    yield make
    for supervisor in made:
        supervisor.kill()
        assert supervisor.wait(10)


def alive(pid):
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_all_processes_start_and_become_ready(supervise):
    """Each seat has a process of its own, and `wait_ready` waits for all of them."""
    supervisor, events = supervise(OBEDIENT, processes=3)
    assert supervisor.wait_ready(20)
    assert len(set(supervisor.pids)) == 3
    assert sorted(str(event) for event in events) == sorted(
        f"worker {event.worker} started (pid {event.pid})" for event in events
    )
    assert sorted(event.worker for event in events) == [1, 2, 3]


def test_a_stop_in_good_order_ends_every_process(supervise):
    """SIGTERM reaches all of them; those that end in time are not killed."""
    supervisor, events = supervise(OBEDIENT, processes=2)
    assert supervisor.wait_ready(20)
    assert supervisor.stop()
    assert supervisor.pids == []
    ends = [event for event in events if event.kind is Kind.STOPPED]
    assert [event.detail for event in ends] == ["ended with exit code 0"] * 2


def test_a_process_that_ignores_the_stop_is_killed_after_the_deadline(supervise, monkeypatch):
    """The deadline is the worker's own and a few seconds of grace."""
    monkeypatch.setattr(supervision, "GRACE", 0.2)
    supervisor, events = supervise(DEAF, stop_deadline=0.1)
    assert supervisor.wait_ready(20)
    assert not supervisor.stop()
    assert supervisor.pids == []
    assert events[-1].detail == "was killed by signal 9 (SIGKILL)"


def test_a_process_that_is_killed_is_started_again(supervise):
    """The operator reads how it died, and under which pid it came back."""
    supervisor, events = supervise(OBEDIENT)
    assert supervisor.wait_ready(20)
    first = supervisor.pids[0]
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: any(event.kind is Kind.RESTARTED for event in events))
    second = supervisor.pids[0]
    assert second != first
    assert [str(event) for event in events[1:]] == [
        f"worker 1 (pid {first}) was killed by signal 9 (SIGKILL); it is started again in 0.2 s",
        f"worker 1 started again as pid {second}",
    ]


def test_the_next_process_of_a_seat_has_the_id_of_the_one_before(supervise):
    """Its leases are its own at once; the process of another seat has another id."""
    ids = []
    script = OBEDIENT.replace('"at work"', 'os.environ["GEARTRAIN_WORKER_ID"]').replace(
        "import signal", "import os, signal"
    )
    supervisor, _ = supervise(script, processes=2, on_output=ids.append)
    assert supervisor.wait_ready(20)
    wait_for(lambda: len(set(ids)) == 2)
    os.kill(supervisor.pids[0], signal.SIGKILL)
    wait_for(lambda: len(ids) == 3)
    assert len(set(ids)) == 2


def test_a_process_that_dies_at_once_is_not_restarted_in_a_hot_loop(supervise):
    """Each death in a row doubles the wait, and a stop does not wait for its end."""
    supervisor, events = supervise(HOPELESS)
    wait_for(lambda: sum(event.kind is Kind.DIED for event in events) >= 3)
    deaths = [event.detail for event in events if event.kind is Kind.DIED]
    assert deaths[:3] == [f"ended with exit code 7; it is started again in {wait} s" for wait in (0.2, 0.4, 0.8)]
    assert not supervisor.wait_ready(0)
    assert supervisor.stop()


def test_the_back_off_has_a_limit():
    """0.2 s, doubled with each death in a row, at most 10 s."""
    assert [rest(deaths) for deaths in (1, 2, 3, 6, 7, 1000)] == [0.2, 0.4, 0.8, 6.4, 10.0, 10.0]


def test_a_command_that_cannot_be_launched_is_reported_and_tried_again():
    """A machine without memory, or a moved interpreter, is no reason to give up."""
    events = []
    supervisor = Supervisor(
        "redis://127.0.0.1:1", 1, WorkerSettings(), on_event=events.append, command=("/nowhere/python",)
    )
    supervisor.start()
    wait_for(lambda: len(events) >= 2)
    assert supervisor.stop()
    assert "cannot be launched: [Errno 2]" in str(events[0])


def test_output_goes_line_by_line_to_who_asks_for_it(supervise):
    """The live status of `geartrain run` shows the lines above its table."""
    lines = []
    supervisor, _ = supervise(OBEDIENT, on_output=lines.append)
    assert supervisor.wait_ready(20)
    wait_for(lambda: lines == ["at work"])


def test_the_url_is_not_on_the_command_line(supervise):
    """A password in the URL is not for everybody who can list processes."""
    supervisor, _ = supervise(OBEDIENT)
    assert supervisor.wait_ready(20)
    process = Path(f"/proc/{supervisor.pids[0]}")
    assert b"redis://" not in (process / "cmdline").read_bytes()
    assert b"GEARTRAIN_URL=redis://127.0.0.1:1" in (process / "environ").read_bytes()


@pytest.mark.parametrize("worker", [OBEDIENT, DEAF], ids=["obedient", "deaf"])
def test_no_process_outlives_a_supervisor_that_is_killed(worker):
    """A SIGKILL of the supervisor leaves nothing behind; user code that cannot be stopped ends after a while, too."""
    script = f"""
    import sys, time
    from geartrain.config import WorkerSettings
    from geartrain.worker.supervisor import Supervisor
    command = (sys.executable, "-c", {textwrap.dedent(worker)!r})
    supervisor = Supervisor("redis://x", 2, WorkerSettings(), command=command)
    supervisor.start()
    assert supervisor.wait_ready(20)
    print("pids", *supervisor.pids, flush=True)
    time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith("pids"))
        pids = [int(pid) for pid in line.split()[1:]]
        assert len(pids) == 2
        assert all(map(alive, pids))
        process.kill()
    wait_for(lambda: not any(map(alive, pids)), message="the workers end")


@pytest.mark.parametrize("processes", [0, -1, 1.5, "2"])
def test_a_number_of_processes_that_makes_no_sense_is_refused(processes):
    """The error names the value and what is allowed."""
    with pytest.raises(ArgumentError, match=r"must be 1 or more"):
        Supervisor("redis://127.0.0.1:1", processes, WorkerSettings())
