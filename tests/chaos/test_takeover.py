"""The only worker that has a stream is killed: who goes on, when, and from where."""

from __future__ import annotations

import time

from geartrain import Client
from geartrain.server import EmbeddedServer
from geartrain.wire import Link
from support.waiting import wait_for
from support.workers import HASTY, RECORDING, add, check_effects, committed, count_effects, effects_on, owner_of

SCRIPT = (
    RECORDING
    + """
def work(r):
    time.sleep(0.003)
    record(r)

GB('StreamReader').foreach(work).register('load:1', batch=10, duration=20, name='recorder')
"""
)


def test_when_its_worker_is_killed_a_stream_goes_on_elsewhere_within_the_lease_time(
    valkey: EmbeddedServer, db: Link, start_worker
) -> None:
    """A worker that was there already takes over when the lease expires, and begins behind the last commit."""
    Client(valkey.url).execute(SCRIPT, session="chaos")
    first = start_worker(valkey.url)
    wait_for(lambda: owner_of(db, "load:1") == first.pid, 30)
    ids = add(db, "load:1", 600)
    wait_for(lambda: count_effects(db, ["load:1"]) > 100, 30)
    second = start_worker(valkey.url)
    wait_for(lambda: second.works_for(db), 30)
    # Whether or not the stream has moved to the second worker: its owner dies.
    owner, other = (first, second) if wait_for(lambda: owner_of(db, "load:1"), 5) == first.pid else (second, first)
    killed = time.monotonic()
    owner.kill()
    before = len(effects_on(db, "load:1"))
    # It may have come to the end while the second one was starting.
    ids += add(db, "load:1", 100)
    wait_for(lambda: any(effect.pid == other.pid for effect in effects_on(db, "load:1")[before:]), 30)
    # The lease, a look at it, and what a busy machine adds.
    assert time.monotonic() - killed < HASTY.lease_ttl + 4 * HASTY.poll_interval + 1.5
    wait_for(lambda: committed(db, "load:1") == ids[-1], 30)
    assert check_effects(ids, effects_on(db, "load:1")) < 100


def test_a_worker_that_is_started_after_the_only_one_was_killed_goes_on(
    valkey: EmbeddedServer, db: Link, start_worker
) -> None:
    """Nobody was there in between; three deaths in a row, and each entry has its effect."""
    Client(valkey.url).execute(SCRIPT, session="chaos")
    ids = add(db, "load:1", 300)
    for deaths in range(1, 4):
        worker = start_worker(valkey.url)
        wait_for(lambda: count_effects(db, ["load:1"]) > 50 * deaths, 30)  # noqa: B023
        worker.kill()
    start_worker(valkey.url)
    wait_for(lambda: committed(db, "load:1") == ids[-1], 30)
    check_effects(ids, effects_on(db, "load:1"))
