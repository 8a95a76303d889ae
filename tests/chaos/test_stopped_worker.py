"""A worker that the system stops (SIGSTOP: a debugger, a laptop's lid, a full host) and that wakes up too late."""

from __future__ import annotations

import signal

from geartrain import Client
from geartrain.server import EmbeddedServer
from geartrain.wire import Link
from support.waiting import wait_for
from support.workers import RECORDING, WorkerProcess, add, committed, effects_on, owner_of

BUSY = (
    RECORDING
    + """
def work(r):
    time.sleep(0.005)
    record(r)

GB('StreamReader').foreach(work).register('load:1', batch=10, duration=50, name='recorder')
"""
)

HELD = (
    RECORDING
    + """
def work(r):
    record(r, 'begin')
    while execute('exists', 'hold'):
        time.sleep(0.01)
    record(r, 'end')

GB('StreamReader').foreach(work).register('load:1', name='recorder')
"""
)


def ended_by(link: Link, worker: WorkerProcess) -> list[str]:
    """The ids of the entries that the worker has ended."""
    return [item.id for item in effects_on(link, "load:1") if item.pid == worker.pid and item.tag == "end"]


def test_a_worker_that_wakes_after_its_lease_has_gone_commits_nothing(
    valkey: EmbeddedServer, db: Link, start_worker
) -> None:
    """It ends the batch that was running, at the most; the offset is its successor's, and it runs nothing more."""
    Client(valkey.url).execute(HELD, session="chaos")
    db.call("SET", "hold", 1)
    ids = add(db, "load:1", 20)
    sleeper = start_worker(valkey.url)
    wait_for(lambda: effects_on(db, "load:1"), 30)
    sleeper.send(signal.SIGSTOP)

    successor = start_worker(valkey.url)
    wait_for(lambda: any(effect.pid == successor.pid for effect in effects_on(db, "load:1")), 30)
    assert committed(db, "load:1") == "0-0"
    # The successor is held in the first entry too. Now the first worker may end it.
    sleeper.send(signal.SIGCONT)
    wait_for(lambda: sleeper.works_for(db), 30)
    db.call("DEL", "hold")

    wait_for(lambda: committed(db, "load:1") == ids[-1], 30)
    wait_for(lambda: ids[0] in ended_by(db, sleeper), 30)
    assert ids[0] in ended_by(db, successor)
    # Entries may come to the first worker again, once it has a new lease; but each of them once.
    assert sorted(ended_by(db, sleeper) + ended_by(db, successor)) == sorted([*ids, ids[0]])


def test_the_offset_only_goes_on_while_workers_are_stopped_and_wake_up(
    valkey: EmbeddedServer, db: Link, start_worker
) -> None:
    """Two workers take turns at being stopped for longer than a lease: the committed offset never goes back."""
    Client(valkey.url).execute(BUSY, session="chaos")
    ids = add(db, "load:1", 900)
    workers = [start_worker(valkey.url), start_worker(valkey.url)]
    wait_for(lambda: all(worker.works_for(db) for worker in workers), 30)
    places = {entry: number for number, entry in enumerate(["0-0", *ids])}
    seen = [0]

    def owner() -> int | None:
        seen.append(places[committed(db, "load:1") or "0-0"])
        return owner_of(db, "load:1")

    for _ in range(3):
        pid = wait_for(owner, 30)
        asleep = next(worker for worker in workers if worker.pid == pid)
        asleep.send(signal.SIGSTOP)
        wait_for(lambda: owner() not in {None, pid}, 30, "the other takes over")  # noqa: B023
        wait_for(lambda: not asleep.works_for(db), 30)  # noqa: B023
        asleep.send(signal.SIGCONT)
        wait_for(lambda: owner() and asleep.works_for(db), 30)  # noqa: B023

    wait_for(lambda: owner() and committed(db, "load:1") == ids[-1], 30)
    assert seen == sorted(seen)
    assert {effect.id for effect in effects_on(db, "load:1")} == set(ids)
