"""Workers that come and go at random while records arrive: what users may rely on, checked effect by effect."""

from __future__ import annotations

import random

import pytest

from geartrain import Client
from geartrain.server import EmbeddedServer
from geartrain.wire import Link
from support.waiting import wait_for
from support.workers import RECORDING, WorkerProcess, add, check_effects, committed, count_effects, effects_on

ROUNDS = 20
STREAMS = [f"load:{number}" for number in range(5)]
PER_ROUND = 40

SCRIPT = (
    RECORDING
    + """
def work(r):
    time.sleep(0.002)
    record(r)

GB('StreamReader').foreach(work).register('load:*', batch=7, duration=50, name='recorder')
"""
)


@pytest.mark.timeout(180)
def test_order_is_kept_and_nothing_is_lost_while_workers_are_added_and_killed(
    valkey: EmbeddedServer, db: Link, start_worker, seed: random.Random
) -> None:
    """Twenty rounds of kill -9, SIGTERM and new workers: streams in order, repetitions only from the last commit."""
    Client(valkey.url).execute(SCRIPT, session="chaos")
    workers: list[WorkerProcess] = [start_worker(valkey.url) for _ in range(3)]
    ids: dict[str, list[str]] = {stream: [] for stream in STREAMS}
    repeated = 0

    for number in range(ROUNDS):
        before = count_effects(db, STREAMS)
        for stream in STREAMS:
            ids[stream] += add(db, stream, PER_ROUND)
        goal = seed.randrange(1, len(STREAMS) * PER_ROUND)
        wait_for(lambda: count_effects(db, STREAMS) >= before + goal, 30, f"progress in round {number}")  # noqa: B023
        action = seed.choice(["kill", "kill", "kill two", "add", "stop"])
        print(f"round {number}: after {goal} effects {action}")
        if action == "add" and len(workers) < 5:
            workers.append(start_worker(valkey.url))
        for _ in range({"kill": 1, "kill two": 2}.get(action, 0)):
            workers.pop(seed.randrange(len(workers))).kill()
        if action == "stop":
            leaving = workers.pop(seed.randrange(len(workers)))
            wait_for(lambda: leaving.works_for(db), 30)  # noqa: B023
            assert leaving.terminate() == 0
        while len(workers) < 3:
            workers.append(start_worker(valkey.url))

    def everything() -> bool:
        return all(committed(db, stream) == ids[stream][-1] for stream in STREAMS)

    wait_for(everything, 30)
    for stream in STREAMS:
        repeated += check_effects(ids[stream], effects_on(db, stream))
    print(f"{sum(map(len, ids.values()))} entries, {repeated} repetitions")
