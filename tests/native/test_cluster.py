"""The module on the shards of a cluster: outboxes lie in slots of their own shard, and keys that move are no events."""

from __future__ import annotations

import pytest
from redis.crc import key_slot

from geartrain import keys
from geartrain.server.configuration import free_port
from geartrain.wire import Endpoint, Link
from support.waiting import wait_for

SLOTS = 16384


@pytest.fixture
def shards(module_flavour, fresh_server):
    """Connections to the two primaries of a cluster; the first has the lower half of the slots."""
    links = []
    for first, last in ((0, SLOTS // 2 - 1), (SLOTS // 2, SLOTS - 1)):
        options = {"cluster-enabled": "yes", "cluster-port": str(free_port()), "cluster-node-timeout": "5000"}
        server = fresh_server(module_flavour, module={}, options=options)
        link = Link(Endpoint(server.url))
        link.call("CLUSTER", "ADDSLOTSRANGE", first, last)
        links.append((link, server.port, options["cluster-port"]))
    (one, _, _), (two, port, bus) = links
    one.call("CLUSTER", "MEET", "127.0.0.1", port, bus)
    for link in (one, two):
        wait_for(lambda link=link: "cluster_state:ok" in link.call("CLUSTER", "INFO"), 20)
    yield one, two
    for link in (one, two):
        link.close()


def hook(link):
    """Capture all events; the name of the outbox."""
    link.call("GEARTRAIN.HOOK", "SET", "all", 1)
    listed = link.call("GEARTRAIN.HOOK", "LIST")
    tag = dict(zip(listed[::2], listed[1::2], strict=True))["tag"]
    return keys.outboxes(tag.encode(), "all", 1)[0]


def captured(link, outbox):
    """(event, key) of each entry."""
    entries = [fields for _, fields in link.call("XRANGE", outbox, "-", "+")]
    return [(fields[1], fields[3]) for fields in entries]


def name_in(first, last):
    """A key's name whose slot is within these."""
    return next(
        name for name in (f"key:{number}" for number in range(10_000)) if first <= key_slot(name.encode()) <= last
    )


def test_each_shard_has_its_outboxes_in_a_slot_of_its_own(shards):
    """So a shard can write them together with its keys, and they move and fail over with it."""
    for link, half in zip(shards, ((0, SLOTS // 2 - 1), (SLOTS // 2, SLOTS - 1)), strict=True):
        outbox = hook(link)
        assert half[0] <= key_slot(outbox) <= half[1]
        name = name_in(*half)
        link.call("SET", name, 1)
        assert captured(link, outbox) == [("set", name)]


def test_a_key_that_moves_to_another_shard_is_not_deleted(shards):
    """Its shard captures no `del`; the new one captures what happens from then on, and real deletions."""
    one, two = shards
    here, there = hook(one), hook(two)
    name = name_in(100, SLOTS // 2 - 1)
    slot = key_slot(name.encode())
    one.call("SET", name, 1)
    ids = [link.call("CLUSTER", "MYID") for link in shards]
    two.call("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
    one.call("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    one.call("MIGRATE", "127.0.0.1", two.endpoint.url.rpartition(":")[2], name, 0, 5000)
    for link in (two, one):
        link.call("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
    assert two.call("GET", name) == "1"
    two.call("DEL", name)
    assert captured(one, here) == [("set", name)]
    # What arrives is no event either.
    assert captured(two, there) == [("del", name)]


@pytest.mark.servers("valkey-9.1")
def test_an_atomic_migration_of_slots_is_no_event_where_they_were(shards):
    """All keys of the slots are deleted there at its end; none of them was deleted by anybody."""
    one, two = shards
    here = hook(one)
    names = [name_in(first, SLOTS // 2 - 1) for first in range(100, 8000, 1000)]
    for name in names:
        one.call("SET", name, 1)
    one.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", 100, SLOTS // 2 - 1, "NODE", two.call("CLUSTER", "MYID"))
    wait_for(lambda: "success" in str(one.call("CLUSTER", "GETSLOTMIGRATIONS")), 20)
    wait_for(lambda: one.call("CLUSTER", "COUNTKEYSINSLOT", key_slot(names[0].encode())) == 0, 10)
    assert [two.call("GET", name) for name in names] == ["1"] * len(names)
    assert captured(one, here) == [("set", name) for name in names]
