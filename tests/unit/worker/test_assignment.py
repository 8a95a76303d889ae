"""Who should own what: even, stable, and the same answer everywhere."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from geartrain.worker.assignment import assign

WORKERS = st.frozensets(st.text("abcdef", min_size=1, max_size=3), min_size=1, max_size=6)
KEYS = st.frozensets(st.tuples(st.sampled_from(["r", "q"]), st.binary(max_size=3)), max_size=60)


def keys(count):
    """So many partitions of one registration."""
    return [("r", b"stream:%d" % number) for number in range(count)]


def shares(owners, workers):
    """How many partitions each worker has."""
    return {worker: Counter(owners.values())[worker] for worker in workers}


@given(KEYS, WORKERS)
def test_shares_are_even(partitions, workers):
    """Every partition has one owner, and no worker has two more than another."""
    owners = assign(dict.fromkeys(partitions, workers))
    assert owners.keys() == partitions
    counts = shares(owners, workers).values()
    assert max(counts) - min(counts) <= 1


@given(KEYS, WORKERS, st.randoms())
def test_the_answer_does_not_depend_on_the_order(partitions, workers, chance):
    """Each worker has the lists in another order, and all must agree."""
    shuffled = sorted(partitions)
    chance.shuffle(shuffled)
    assert assign(dict.fromkeys(shuffled, workers)) == assign(dict.fromkeys(sorted(partitions), workers))


def test_few_partitions_move_when_a_worker_comes_or_goes():
    """About its share: the others keep nearly all of theirs."""
    partitions = keys(1000)
    four = frozenset("abcd")
    before = assign(dict.fromkeys(partitions, four))
    after = assign(dict.fromkeys(partitions, four | {"e"}))
    moved = sum(before[key] != after[key] for key in partitions)
    assert 200 <= moved < 350


def test_only_workers_that_can_run_a_registration_get_its_partitions():
    """One with no able worker is left out; the able ones share evenly among themselves."""
    first, second, third = ("all", b"s"), ("some", b"s"), ("none", b"s")
    owners = assign({first: frozenset("ab"), second: frozenset("b"), third: frozenset()})
    assert owners.keys() == {first, second}
    assert owners[second] == "b"
