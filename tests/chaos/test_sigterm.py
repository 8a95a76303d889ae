"""SIGTERM: a clean end, under load, with executions that do not end, without a server."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import replace

import pytest

from geartrain import Client
from geartrain.server import EmbeddedServer
from geartrain.wire import Link
from support.proxy import Proxy
from support.waiting import wait_for
from support.workers import HASTY, RECORDING, add, check_effects, committed, count_effects, effects_on, owner_of

STREAMS = [f"load:{number}" for number in range(4)]

LONG_LEASE = replace(HASTY, lease_ttl=60.0)
"""Nobody can wait until these expire: who goes on has been given the lease."""

SCRIPT = (
    RECORDING
    + """
def work(r):
    time.sleep(0.002)
    record(r)

GB('StreamReader').foreach(work).register('load:*', batch={batch}, duration=20, name='recorder')
"""
)


@pytest.mark.parametrize("batch", [1, 20])
def test_under_load_it_ends_within_its_deadline_and_nothing_is_repeated(
    valkey: EmbeddedServer, db: Link, start_worker, seed: random.Random, batch: int
) -> None:
    """Five workers, one after the other: each leaves everything committed and its leases given up."""
    Client(valkey.url).execute(SCRIPT.format(batch=batch), session="chaos")
    ids = {stream: add(db, stream, 300) for stream in STREAMS}
    for _ in range(5):
        goal = count_effects(db, STREAMS) + seed.randrange(1, 150)
        worker = start_worker(valkey.url, LONG_LEASE)
        wait_for(lambda: count_effects(db, STREAMS) >= goal, 10)  # noqa: B023
        assert worker.terminate(timeout=HASTY.stop_deadline) == 0
        assert not worker.works_for(db)
        for stream in STREAMS:
            assert owner_of(db, stream) is None
            effects = effects_on(db, stream)
            assert committed(db, stream) == (effects[-1].id if effects else "0-0")
    start_worker(valkey.url, LONG_LEASE)
    wait_for(lambda: all(committed(db, stream) == ids[stream][-1] for stream in STREAMS), 15)
    assert sum(check_effects(ids[stream], effects_on(db, stream)) for stream in STREAMS) == 0


def test_a_successor_that_waits_goes_on_at_once(valkey: EmbeddedServer, db: Link, start_worker) -> None:
    """Long before a lease would have expired."""
    Client(valkey.url).execute(SCRIPT.format(batch=5), session="chaos")
    workers = [start_worker(valkey.url, LONG_LEASE) for _ in range(2)]
    wait_for(lambda: all(worker.works_for(db) for worker in workers), 10)
    ids = {stream: add(db, stream, 300) for stream in STREAMS}
    wait_for(lambda: count_effects(db, STREAMS) > 100, 10)
    assert workers.pop(0).terminate() == 0
    wait_for(lambda: all(owner_of(db, stream) == workers[0].pid for stream in STREAMS), 2)
    wait_for(lambda: all(committed(db, stream) == ids[stream][-1] for stream in STREAMS), 15)
    assert sum(check_effects(ids[stream], effects_on(db, stream)) for stream in STREAMS) == 0


def test_a_running_execution_is_finished_and_committed(valkey: EmbeddedServer, db: Link, start_worker) -> None:
    """It had begun when the signal came; it ends, its offset moves, and nobody runs it again."""
    held = "record(r, 'begin')\n while execute('exists', 'hold'): time.sleep(0.01)\n record(r, 'end')"
    script = f"{RECORDING}\ndef work(r):\n {held}\nGB('StreamReader').foreach(work).register('load:1', name='recorder')"
    Client(valkey.url).execute(script, session="chaos")
    db.call("SET", "hold", 1)
    ids = add(db, "load:1", 3)
    worker = start_worker(valkey.url, LONG_LEASE)
    wait_for(lambda: effects_on(db, "load:1"), 10)
    worker.send(signal.SIGTERM)
    wait_for(lambda: owner_of(db, "load:1") == worker.pid and worker.running, 1)
    db.call("DEL", "hold")
    assert worker.wait(5) == 0
    effects = effects_on(db, "load:1")
    # Usually it is the only one: the signal came while it ran.
    done = ids[: len(effects) // 2]
    assert [(effect.id, effect.tag) for effect in effects] == [
        (entry, tag) for entry in done for tag in ("begin", "end")
    ]
    assert committed(db, "load:1") == done[-1]


@pytest.mark.parametrize("way", ["python", "server", "print"])
def test_an_execution_that_outlasts_the_deadline_is_given_up_and_runs_again(
    valkey: EmbeddedServer, db: Link, start_worker, way: str
) -> None:
    """The worker ends with 0 soon after its deadline; its batch is executed again, but not before it has ended."""
    wait = {
        "python": "while True: record(r, 'still')",
        "server": "execute('blpop', 'never', 0)",
        "print": "while True: print('still here')",
    }[way]
    script = f"""{RECORDING}
def work(r):
    record(r, 'begin')
    if r['n'] == '1' and execute('del', 'trap'):
        {wait}
    record(r, 'end')

GB('StreamReader').foreach(work).register('load:1', name='recorder')
"""
    Client(valkey.url).execute(script, session="chaos")
    db.call("SET", "trap", 1)
    ids = add(db, "load:1", 3)
    worker = start_worker(valkey.url, replace(HASTY, stop_deadline=1.0))
    wait_for(lambda: len(effects_on(db, "load:1")) >= 3, 10)
    successor = start_worker(valkey.url)
    wait_for(lambda: successor.works_for(db), 10)
    assert committed(db, "load:1") == ids[0]
    began = time.monotonic()
    assert worker.terminate(timeout=5) == 0
    assert 0.9 < time.monotonic() - began < 3
    wait_for(lambda: committed(db, "load:1") == ids[-1], 10)
    effects = effects_on(db, "load:1")
    assert [effect.id for effect in effects if effect.tag == "end"] == ids
    pids = [effect.pid for effect in effects]
    assert pids == sorted(pids, key=[worker.pid, successor.pid].index)


def test_threads_that_user_code_left_behind_do_not_keep_it(valkey: EmbeddedServer, db: Link, start_worker) -> None:
    """A thread that is no daemon, and never ends, is no reason to stay."""
    script = f"""{RECORDING}
import threading

def work(r):
    threading.Thread(target=time.sleep, args=(600,), daemon=False).start()
    record(r)

GB('StreamReader').foreach(work).register('load:1', name='recorder')
"""
    Client(valkey.url).execute(script, session="chaos")
    ids = add(db, "load:1", 1)
    worker = start_worker(valkey.url)
    wait_for(lambda: committed(db, "load:1") == ids[-1], 10)
    assert worker.terminate(timeout=HASTY.stop_deadline) == 0


@pytest.mark.parametrize("how", ["cut", "pause"])
def test_without_a_server_it_ends_within_its_deadline_too(
    valkey: EmbeddedServer, db: Link, start_worker, how: str
) -> None:
    """Refused connections and silent ones; what could not be given up expires."""
    Client(valkey.url).execute(SCRIPT.format(batch=5), session="chaos")
    with Proxy(valkey.port) as network:
        worker = start_worker(network.url, replace(HASTY, stop_deadline=3.0))
        add(db, "load:1", 100)
        wait_for(lambda: count_effects(db, STREAMS) > 20, 10)
        getattr(network, how)()
        assert worker.terminate(timeout=10) == 0
