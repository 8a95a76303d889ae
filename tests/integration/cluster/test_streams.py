"""Streams of all shards, read by workers: what is kept when shards and workers come and go."""

from __future__ import annotations

import random

import pytest
from redis.crc import key_slot

from geartrain import Client, keys
from geartrain.server import EmbeddedCluster
from geartrain.wire import Access, Endpoint, access
from support.waiting import wait_for
from support.workers import RECORDING, add, check_effects, committed, effects_on, owner_of

STREAMS = [f"load:{number}" for number in range(20)]

SCRIPT = RECORDING + "GB('StreamReader').foreach(record).register('load:*', batch=7, duration=50, name='recorder')"


def done(link: Access, ids: dict[str, list[str]]) -> bool:
    """Whether all of these entries are committed."""
    return all(committed(link, stream) == items[-1] for stream, items in ids.items())


def drain(link: Access, ids: dict[str, list[str]], timeout: float = 30) -> None:
    """Wait until all is committed, and check every effect."""
    wait_for(lambda: done(link, ids), timeout, "everything committed")
    for stream, items in ids.items():
        check_effects(items, effects_on(link, stream))


def test_streams_of_all_shards_are_drained_in_order_by_several_workers(
    cluster: EmbeddedCluster, link: Access, start_worker
):
    """Each worker reads on every shard; partitions are shared out evenly, whatever shard they are on."""
    Client(cluster.url).execute(SCRIPT, session="test")
    workers = [start_worker(cluster.urls[0]), start_worker(cluster.url)]
    ids = {stream: add(link, stream, 100) for stream in STREAMS}
    drain(link, ids)
    owners = wait_for(lambda: owned(link, [worker.pid for worker in workers]))
    assert sorted(owners.values()) == [10, 10]
    more = {stream: ids[stream] + add(link, stream, 50) for stream in STREAMS}
    drain(link, more)


def owned(link: Access, pids: list[int]) -> dict[int, int] | None:
    """How many streams each worker has; None: not all are owned, or not evenly yet."""
    owners = [owner_of(link, stream) for stream in STREAMS]
    counts = {pid: owners.count(pid) for pid in pids}
    return counts if sum(counts.values()) == len(STREAMS) and len(set(counts.values())) == 1 else None


def test_a_stream_that_comes_into_being_later_is_read_on_whatever_shard(
    cluster: EmbeddedCluster, link: Access, start_worker
):
    """Also one with braces in odd places."""
    names = ["load:late", "load:{a}b", "load:{}", "load:}{", "load:{x}{y}", "load:{{z}}"]
    Client(cluster.url).execute(SCRIPT, session="test")
    start_worker(cluster.url)
    wait_for(lambda: link.call("HLEN", keys.WORKERS))
    for name in names:
        link.call("XADD", name, "*", "n", 1)
    wait_for(lambda: [name for name in names if not effects_on(link, name)] == [], 20)


def test_slots_that_move_under_load_take_streams_and_offsets_along(make_cluster, start_worker, seed: random.Random):
    """Key by key; no entry is lost or left out, none that was committed comes again."""
    cluster = make_cluster(shards=3)
    Client(cluster.url).execute(SCRIPT, session="test")
    start_worker(cluster.url)
    start_worker(cluster.url)
    with access(Endpoint(cluster.url)) as link:
        ids: dict[str, list[str]] = {stream: [] for stream in STREAMS}
        for stream in seed.sample(STREAMS, 8):
            for name in STREAMS:
                ids[name] += add(link, name, 20)
            owner = cluster.primary_of(stream)
            cluster.move_slots([key_slot(stream.encode())], next(n for n in cluster.primaries() if n is not owner))
        drain(link, ids, 60)


@pytest.mark.servers("valkey-9.1")
def test_slots_that_move_atomically_take_streams_and_offsets_along(make_cluster, start_worker, seed: random.Random):
    """As Valkey 9 moves them."""
    cluster = make_cluster(shards=3)
    Client(cluster.url).execute(SCRIPT, session="test")
    start_worker(cluster.url)
    with access(Endpoint(cluster.url)) as link:
        ids: dict[str, list[str]] = {stream: [] for stream in STREAMS}
        for stream in seed.sample(STREAMS, 4):
            for name in STREAMS:
                ids[name] += add(link, name, 20)
            owner = cluster.primary_of(stream)
            target = next(node for node in cluster.primaries() if node is not owner)
            cluster.migrate_slots_atomically([key_slot(stream.encode())], target)
        drain(link, ids, 60)


def test_a_new_shard_is_read_and_one_that_is_removed_left(make_cluster, start_worker):
    """Without a restart of anything."""
    cluster = make_cluster(shards=3)
    Client(cluster.url).execute(SCRIPT, session="test")
    start_worker(cluster.urls[0])
    with access(Endpoint(cluster.url)) as link:
        ids = {stream: add(link, stream, 20) for stream in STREAMS}
        first, *_ = cluster.primaries()
        leaving = cluster.slots_of(first)
        cluster.move_slots(leaving, cluster.add_shard())
        ids = {stream: ids[stream] + add(link, stream, 20) for stream in STREAMS}
        drain(link, ids, 60)
