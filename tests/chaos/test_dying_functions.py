"""User code that ends its process."""

from __future__ import annotations

import pytest

from geartrain import Client
from geartrain.server import EmbeddedServer
from geartrain.wire import Link
from support.processes import CapturedProcess
from support.waiting import wait_for
from support.workers import RECORDING, add, check_effects, committed, effects_on

STREAMS = [f"load:{number}" for number in range(3)]

SCRIPT = (
    RECORDING
    + """
def work(r):
    if streamKey() == 'load:poison' and execute('exists', 'trap'):
        os._exit(3)
    time.sleep(0.001)
    record(r)

GB('StreamReader').foreach(work).register('load:*', batch=5, duration=20, name='recorder')
"""
)


@pytest.mark.timeout(150)
def test_processes_that_a_function_ends_are_started_again_and_other_streams_go_on(
    valkey: EmbeddedServer, db: Link, cli
) -> None:
    """With a growing pause; and once the cause has gone, the stream that it was in goes on too."""
    Client(valkey.url).execute(SCRIPT, session="chaos")
    db.call("SET", "trap", 1)
    poisoned = add(db, "load:poison", 3)
    ids = {stream: add(db, stream, 100) for stream in STREAMS}
    supervisor: CapturedProcess = cli("worker", "--url", valkey.url, "--processes", "2", "--lease-ttl", "1.5")
    supervisor.wait_for_line(r"ended with exit code 3; it is started again in 0.2 s")
    supervisor.wait_for_line(r"ended with exit code 3; it is started again in 0.8 s")
    wait_for(lambda: all(committed(db, stream) == ids[stream][-1] for stream in STREAMS), 30)
    assert committed(db, "load:poison") == "0-0"
    wait_for(lambda: "workers in a row" in (Client(valkey.url).registrations()[0].last_error or ""), 30)
    db.call("DEL", "trap")
    # Its batch waits the longer the more processes it has ended: 45 s at the most.
    wait_for(lambda: committed(db, "load:poison") == poisoned[-1], 60)
    for stream in STREAMS:
        check_effects(ids[stream], effects_on(db, stream))
    assert check_effects(poisoned, effects_on(db, "load:poison")) == 0
    assert supervisor.terminate() == 0


def test_sys_exit_in_a_function_is_a_failure_like_any_other(valkey: EmbeddedServer, db: Link, start_worker) -> None:
    """It ends neither the process nor its thread: the failure policy decides."""
    script = SCRIPT.replace("os._exit(3)", "raise SystemExit(3)").replace("name=", "onFailedPolicy='continue', name=")
    Client(valkey.url).execute(script, session="chaos")
    db.call("SET", "trap", 1)
    poisoned = add(db, "load:poison", 20)
    worker = start_worker(valkey.url)
    wait_for(lambda: committed(db, "load:poison") == poisoned[-1], 30)
    assert effects_on(db, "load:poison") == []
    assert "SystemExit: 3" in worker.stderr
    assert worker.terminate() == 0
