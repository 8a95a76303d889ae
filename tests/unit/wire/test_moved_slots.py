"""Which slots have moved between two looks at a cluster."""

from __future__ import annotations

from geartrain.wire import Address, Shard
from geartrain.wire.shard import moved_slots


def shard(port: int, *slots: tuple[int, int]) -> Shard:
    """A shard by its port."""
    return Shard(Address("127.0.0.1", port), str(port), slots)


def test_slots_that_another_shard_serves_now_have_moved():
    """Whether it is an old one or a new one."""
    before = [shard(1, (0, 9)), shard(2, (10, 19))]
    after = [shard(1, (0, 4)), shard(2, (5, 6), (10, 19)), shard(3, (7, 9))]
    assert moved_slots(before, after) == {5, 6, 7, 8, 9}


def test_a_failover_moves_nothing():
    """The replica serves the same data."""
    assert moved_slots([shard(1, (0, 9)), shard(2, (10, 19))], [shard(3, (0, 9)), shard(2, (10, 19))]) == set()


def test_slots_that_nobody_serves_have_not_moved_yet():
    """They may come back."""
    assert moved_slots([shard(1, (0, 9))], [shard(1, (0, 4))]) == set()


def test_the_first_look_sees_nothing_move():
    """There is nothing to compare with."""
    assert moved_slots([], [shard(1, (0, 9))]) == set()
