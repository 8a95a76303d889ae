"""Key events while workers are killed: each acknowledged write is executed, and each key's writes in their order."""

from __future__ import annotations

import random
from itertools import pairwise

from geartrain import Client
from geartrain.server import EmbeddedServer
from geartrain.wire import Endpoint, Link
from support.waiting import wait_for
from support.workers import WorkerProcess

ROUNDS = 8
KEYS = [f"k:{number}" for number in range(10)]
PER_ROUND = 200

SCRIPT = """
def note(r):
    execute('rpush', 'out:' + r['key'], r['value'])

GB('KeysReader').foreach(note).register('k:*', name='notes', snapshot=True, partitions=3)
"""


def test_no_event_is_lost_and_keys_keep_their_order_while_workers_are_killed(
    module_server: EmbeddedServer, start_worker, seed: random.Random
) -> None:
    """Eight rounds of kill -9: a repetition goes back, and then goes on without a gap."""
    with Client(module_server.url) as client, Link(Endpoint(module_server.url)) as link:
        client.execute(SCRIPT, session="chaos")
        workers: list[WorkerProcess] = [start_worker(module_server.url) for _ in range(2)]
        written = dict.fromkeys(KEYS, 0)
        for number in range(ROUNDS):
            for _ in range(PER_ROUND):
                key = seed.choice(KEYS)
                written[key] += 1
                link.call("SET", key, written[key])
            before = sum(link.pipeline([("LLEN", f"out:{key}") for key in KEYS]))
            print(f"round {number}: {before} effects, then a kill")
            workers.pop(seed.randrange(len(workers))).kill()
            workers.append(start_worker(module_server.url))
        wait_for(lambda: client.show("notes").info.lag == 0, 30)
        for key in KEYS:
            values = [int(value) for value in link.call("LRANGE", f"out:{key}", 0, -1)]
            assert set(values) == set(range(1, written[key] + 1))
            assert all(after <= before + 1 for before, after in pairwise([0, *values])), f"{key}: {values}"
