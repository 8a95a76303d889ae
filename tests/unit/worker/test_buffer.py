"""Entries that were read and not yet executed: order, bounds, and how much to read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from geartrain.readers.entries import size_of
from geartrain.worker.buffer import Buffer


def entries(count, size=0, start=1):
    """So many entries, with about that many bytes in each."""
    return [[f"{number}-0", ["f", "x" * size]] for number in range(start, start + count)]


@given(st.lists(st.one_of(st.tuples(st.just("add"), st.integers(0, 9)), st.tuples(st.just("take"), st.integers(0, 9)))))
def test_entries_come_out_in_the_order_in_which_they_went_in(steps):
    """Whatever the chunks, also where some are put back."""
    buffer, model, number = Buffer(5, 1), [], 1
    for step, count in steps:
        if step == "add":
            chunk = entries(count, start=number)
            number += count
            buffer.append(chunk, 0.0)
            model += chunk
        else:
            taken = buffer.take(count)
            assert taken == model[:count]
            kept = taken[: len(taken) // 2]
            buffer.put_back(taken[len(kept) :], 0.0)
            model = model[len(kept) :]
        assert len(buffer) == len(model)
    assert buffer.take(len(model) + 1) == model


def test_the_oldest_is_when_the_first_entrys_chunk_came():
    """What is put back keeps the time of those that it is put before: a duration is not prolonged by that."""
    buffer = Buffer(100, 1)
    assert buffer.oldest is None
    buffer.append(entries(2), 5.0)
    buffer.append(entries(2, start=3), 6.0)
    taken = buffer.take(1)
    buffer.put_back(taken, 9.0)
    assert buffer.oldest == 5.0
    buffer.take(2)
    assert buffer.oldest == 6.0


def test_it_is_full_at_its_capacity_and_roomy_at_half_of_it():
    """A chunk that goes beyond is taken; reading begins again before it runs empty."""
    buffer = Buffer(10, 1)
    buffer.append(entries(12), 0.0)
    assert buffer.full
    buffer.take(6)
    assert not buffer.full
    assert not buffer.roomy
    buffer.take(1)
    assert buffer.roomy


def test_it_always_takes_two_batches():
    """The one that runs next is complete while the one after it is read."""
    buffer = Buffer(10, 50)
    buffer.append(entries(99), 0.0)
    assert not buffer.full
    buffer.append(entries(1, start=100), 0.0)
    assert buffer.full


def test_large_entries_fill_it_sooner_but_not_before_there_is_a_batch():
    """16 MB of them; a batch must fit, however large."""
    buffer = Buffer(4000, 20)
    buffer.append(entries(19, 1 << 20), 0.0)
    assert not buffer.full
    buffer.append(entries(1, 1 << 20, start=20), 0.0)
    assert buffer.full


def test_its_weight_is_about_the_bytes_of_its_entries():
    """An estimate from the last chunk's first and last entry."""
    buffer = Buffer(4000, 1)
    chunk = entries(100, 1000)
    buffer.append(chunk, 0.0)
    assert 100_000 < buffer.weight == size_of(chunk) < 130_000
    buffer.clear()
    assert buffer.weight == 0
    assert len(buffer) == 0


def test_the_appetite_follows_the_size_of_entries():
    """A hundred while nothing is known of it; then what 8 MB are, and the capacity at the most."""
    buffer = Buffer(4000, 1)
    assert buffer.appetite() == 100
    buffer.append(entries(1), 0.0)
    assert buffer.appetite() == 4000
    buffer.append(entries(1, 1 << 20), 0.0)
    assert buffer.appetite() == 7
    buffer.append(entries(1, 1 << 25), 0.0)
    assert buffer.appetite() == 1


def test_where_memory_is_short_the_appetite_is_what_is_missing_for_a_batch():
    """Or 64 KB, if that is more: entries that are small need not be read one by one."""
    buffer = Buffer(4000, 10)
    assert buffer.appetite(tight=True) == 10
    buffer.append(entries(4, 1 << 20), 0.0)
    assert buffer.appetite(tight=True) == 6
    small = Buffer(4000, 1)
    small.append(entries(1), 0.0)
    small.take(1)
    assert 500 < small.appetite(tight=True) < 700
