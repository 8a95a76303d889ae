"""Positions of cursors, and portions of the space between the first and the last one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geartrain.keys import SLOTS
from geartrain.readers.cursors import TABLE, Cursors, Layout, coarsest, cursor, cursors_of, portions, position


@pytest.mark.parametrize(
    ("info", "layout"),
    [
        ("redis_version:6.2.14\r\nredis_mode:standalone", Layout.PLAIN),
        ("redis_version:7.0.15\r\nredis_mode:cluster", Layout.PLAIN),
        ("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:7.2.5\r\nredis_mode:cluster", Layout.PLAIN),
        ("redis_version:7.2.4\r\nvalkey_version:9.1.2\r\nserver_mode:cluster", Layout.SLOTS),
        ("redis_version:7.2.4\r\nvalkey_version:9.1.2\r\nserver_mode:standalone", Layout.PLAIN),
        ("redis_version:8.2.1\r\nredis_mode:cluster", Layout.SLOTS),
        ("redis_version:8.2.1\r\nredis_mode:standalone", Layout.PLAIN),
        ("redis_version:7.4.0\r\ndragonfly_version:df-v1.27.1", None),
        ("redis_version:7.1.0\r\nredis_mode:cluster", None),
        ("redis_version:6.3.4\r\nredis_mode:standalone", None),
        ("valkey_version:99.0.0", None),
        ("redis_version:next", None),
        ("nothing", None),
    ],
)
def test_what_a_server_says_tells_its_layout(info, layout):
    """Versions that are known, and nothing for those that are not."""
    assert cursors_of(f"# Server\r\n{info}\r\nrun_id:abc\r\n") == Cursors(layout, "abc")


@given(st.integers(0, TABLE - 1), st.integers(0, SLOTS - 1))
def test_positions_and_cursors_are_the_same_thing(bucket, slot):
    """Each way back and forth."""
    assert cursor(Layout.PLAIN, position(Layout.PLAIN, bucket)) == bucket
    both = bucket * SLOTS + slot
    assert cursor(Layout.SLOTS, position(Layout.SLOTS, both)) == both
    assert position(Layout.SLOTS, both) // TABLE == slot


def test_buckets_come_in_the_order_of_their_positions():
    """As dict.c counts: the highest bit first."""
    order = sorted(range(8), key=lambda bucket: position(Layout.PLAIN, bucket))
    assert order == [0, 4, 2, 6, 1, 5, 3, 7]


@given(st.integers(1, 70))
def test_portions_are_everything_once_and_about_equal(of):
    """One behind the other, from the first position to the last, none a third smaller than it should be."""
    found = portions(Cursors(Layout.PLAIN, "id"), of)
    assert len(found) == of
    assert (found[0].start, found[-1].end) == (0, TABLE)
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(2 * TABLE / of / 3 < portion.end - portion.start < 4 * TABLE / of / 3 for portion in found)
    assert {portion.server for portion in found} == {"id"}


@given(st.integers(1, 9), st.sets(st.integers(0, SLOTS - 1), min_size=1, max_size=30))
def test_portions_of_a_shard_are_slots(of, slots):
    """Each served slot is in one portion, and all have about as many; whatever server it is then."""
    found = portions(Cursors(Layout.SLOTS, "id"), of, [(slot, slot) for slot in slots])
    assert len(found) == min(of, len(slots))
    assert (found[0].start, found[-1].end) == (0, SLOTS * TABLE)
    held = [sum(portion.start <= slot * TABLE < portion.end for slot in slots) for portion in found]
    assert sum(held) == len(slots)
    assert max(held) - min(held) <= 1
    assert {portion.server for portion in found} == {""}


def test_a_page_tells_how_coarse_the_table_can_have_been():
    """It ends where a bucket ends; with a slot, or with the scan, any table can end."""
    assert coarsest(0, TABLE // 8) == TABLE // 8
    assert coarsest(TABLE // 2, TABLE // 2 + TABLE // 16) == TABLE // 16
    assert coarsest(TABLE // 2, TABLE) == TABLE
    assert coarsest(3 * TABLE + 5, 4 * TABLE + TABLE // 2) == TABLE
