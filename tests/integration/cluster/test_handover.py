"""Key events around a move of their key's slot: in two outboxes, and in order all the same."""

from __future__ import annotations

import os

import pytest
from redis.crc import key_slot

from geartrain import Client, keys
from geartrain.wire import Access, Endpoint, access
from support.waiting import wait_for

# The first event is held up until somebody writes to the pipe.
SCRIPT = """
def work(r):
    if r['value'] == 'slow':
        open('PIPE').read()
    execute('rpush', '{moving}seen', r['value'])

GB().foreach(work).register('{moving}key', name='moved', eventTypes=['set'], snapshot=True)
"""


@pytest.mark.servers("valkey-9.1", "redis-8.2")
def test_events_after_a_move_wait_for_those_before_it(flavour: str, make_cluster, start_worker, tmp_path):
    """However far behind the first outbox is."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    cluster = make_cluster(flavour, shards=3, module={})
    Client(cluster.url).execute(SCRIPT.replace("PIPE", str(pipe)), session="test")
    worker = start_worker(cluster.url)
    with access(Endpoint(cluster.url)) as link:
        wait_for(lambda: worker.works_for(link))
        values = ["slow", *map(str, range(20))]
        for value in values:
            link.call("SET", "{moving}key", value)
        owner = cluster.primary_of("{moving}key")
        target = next(node for node in cluster.primaries() if node is not owner)
        cluster.move_slots([key_slot(b"moving")], target)
        after = [f"after {number}" for number in range(20)]
        for value in after:
            link.call("SET", "{moving}key", value)
        wait_for(lambda: outboxes_at_work(link) == 2, 20, "a lease on both outboxes")
        assert link.call("LLEN", "{moving}seen") == 0
        pipe.write_text("go on")
        wait_for(lambda: link.call("LLEN", "{moving}seen") >= 41, 30)
        assert link.call("LRANGE", "{moving}seen", 0, -1) == [*values, *after]


def outboxes_at_work(link: Access) -> int:
    """How many outboxes with events a worker has the lease of."""
    found = [name.encode() for shard in link.shards for name in link.on(shard).call("KEYS", "geartrain:*:outbox:moved")]
    names = [name for name in found if keys.is_outbox(name) and link.call("XLEN", name)]
    return sum(link.call("EXISTS", keys.lease("moved", name)) for name in names)
