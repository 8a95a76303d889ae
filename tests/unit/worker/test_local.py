"""The shard of a worker with `--local`, through failovers."""

from __future__ import annotations

import logging

from geartrain.wire import Address, Shard
from geartrain.worker.local import LocalShard


def shard(primary, *replicas, first=0):
    """A shard whose nodes have these ports."""
    return Shard(
        Address("h", primary), f"id{primary}", ((first, first + 99),), tuple(Address("h", port) for port in replicas)
    )


def test_it_is_found_by_any_of_its_nodes():
    """A replica is as good as the primary."""
    shards = [shard(1, 11), shard(2, 12, 22, first=100)]
    assert [LocalShard(f"h:{port}").primary(shards) for port in (1, 11, 2, 12, 22)] == [
        "h:1",
        "h:1",
        "h:2",
        "h:2",
        "h:2",
    ]


def test_it_is_followed_through_failovers_and_nodes_that_were_not_there_at_the_start():
    """A node that was a replica when the shard was last seen is its primary now."""
    local = LocalShard("h:1,h:11")
    other = shard(2, 12, first=100)
    assert local.primary([shard(1, 11), other]) == "h:1"
    assert local.primary([shard(11), other]) == "h:11"
    assert local.primary([shard(11, 21), other]) == "h:11"
    assert local.primary([shard(21), other]) == "h:21"
    assert local.primary([shard(21, 1), other]) == "h:21"


def test_a_shard_that_is_gone_is_nobodys_and_said_once(caplog):
    """When it has slots again, the worker goes on."""
    local = LocalShard("h:1")
    with caplog.at_level(logging.WARNING):
        assert local.primary([shard(2)]) == "h:1"
        assert local.primary([shard(2)]) == "h:1"
    assert caplog.text.count("nothing for this worker") == 1
    assert local.primary([shard(1), shard(2, first=100)]) == "h:1"
