"""A session that is submitted again and again while its records arrive."""

from __future__ import annotations

import random

from geartrain import Client
from geartrain.server import EmbeddedServer
from geartrain.wire import Link
from support.waiting import wait_for
from support.workers import RECORDING, add, check_effects, committed, count_effects, effects_on

STREAMS = [f"load:{number}" for number in range(3)]

LOAD = """
def work(r):
    time.sleep(0.001)
    record(r, 'v{version}')

GB('StreamReader').foreach(work).register('load:*', batch={batch}, duration=20, name='recorder')
"""

OTHER = """
def other(r):
    execute('rpush', 'others', streamKey() + ' ' + r['streamId'])

GB('StreamReader').foreach(other).register('other', batch=3, duration=10, name='other')
"""


def script(version: int, batch: int) -> str:
    """A version of the session: its two registrations change places, and so their places in the pickled code."""
    parts = [LOAD.format(version=version, batch=batch), OTHER]
    return RECORDING + "".join(parts if version % 2 else reversed(parts))


def test_upgrades_under_load_lose_and_repeat_nothing(
    valkey: EmbeddedServer, db: Link, start_worker, seed: random.Random
) -> None:
    """Thirty versions in a row, also several between two looks of a worker; in the end, all runs by the last one."""
    client = Client(valkey.url)
    client.execute(script(0, 5), session="chaos")
    workers = [start_worker(valkey.url) for _ in range(2)]
    wait_for(lambda: all(worker.works_for(db) for worker in workers), 30)
    ids: dict[str, list[str]] = {stream: [] for stream in [*STREAMS, "other"]}

    for version in range(1, 31):
        for stream in ids:
            ids[stream] += add(db, stream, 40)
        goal = count_effects(db, STREAMS) + seed.randrange(100)
        wait_for(lambda: count_effects(db, STREAMS) >= min(goal, sum(len(ids[s]) for s in STREAMS)), 30)  # noqa: B023
        client.execute(script(version, seed.choice([1, 5, 50])), session="chaos")

    def idle() -> bool:
        return all(committed(db, stream) == ids[stream][-1] for stream in STREAMS)

    wait_for(idle, 30)
    wait_for(lambda: db.call("LLEN", "others") >= len(ids["other"]), 30)
    assert sum(check_effects(ids[stream], effects_on(db, stream)) for stream in STREAMS) == 0
    assert db.call("LRANGE", "others", 0, -1) == [f"other {entry}" for entry in ids["other"]]

    def newest() -> bool:
        new = {stream: add(db, stream, 5) for stream in STREAMS}
        for stream in STREAMS:
            ids[stream] += new[stream]
        wait_for(idle, 30)
        tags = {effect.tag for stream in STREAMS for effect in effects_on(db, stream)[-5:]}
        return tags == {"v30"}

    wait_for(newest, 2, "the last version runs within a second or so")
    assert sum(check_effects(ids[stream], effects_on(db, stream)) for stream in STREAMS) == 0


def test_new_code_takes_over_a_batch_that_failed(valkey: EmbeddedServer, db: Link, start_worker) -> None:
    """A batch that waits for its next try gets the code that mends it, at once, and nothing behind it is lost."""
    broken = RECORDING + (
        "def work(r):\n if r['n'] == '5': raise ValueError('poison')\n record(r)\n"
        "GB('StreamReader').foreach(work).register('load:1', batch=3, duration=10, onFailedRetryInterval=600,"
        " name='recorder')\n"
    )
    client = Client(valkey.url)
    client.execute(broken, session="chaos")
    ids = add(db, "load:1", 30)
    worker = start_worker(valkey.url)
    worker.wait_for_line("poison")
    assert committed(db, "load:1") in [*ids[:3], "0-0"]
    client.execute(broken.replace("== '5'", "== 'none'"), session="chaos")
    wait_for(lambda: committed(db, "load:1") == ids[-1], 5)
    assert check_effects(ids, effects_on(db, "load:1"), batch=3) <= 3
