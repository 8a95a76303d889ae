"""Who should own what: even, stable, and the same answer everywhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from geartrain.worker.assignment import assign, share

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


def test_what_few_may_run_counts_when_the_rest_is_shared_out():
    """A worker that has much to do which no other can do gets less of what others can do too."""
    only_a = [("r", b"a:%d" % number) for number in range(20)]
    both = [("r", b"b:%d" % number) for number in range(30)]
    owners = assign(dict.fromkeys(only_a, frozenset("a")) | dict.fromkeys(both, frozenset("ab")))
    assert shares(owners, "ab") == {"a": 25, "b": 25}
    assert {owners[key] for key in only_a} == {"a"}


@given(
    st.dictionaries(
        st.tuples(st.just("r"), st.binary(max_size=2)), st.frozensets(st.sampled_from("abcd"), max_size=4), max_size=40
    )
)
def test_each_partition_goes_to_somebody_who_can_run_it(partitions):
    """Whoever that is, and to nobody where nobody can; nobody has two more than another with the same abilities."""
    owners = assign(partitions)
    assert owners.keys() == {key for key, able in partitions.items() if able}
    assert all(owner in partitions[key] for key, owner in owners.items())
    counts = shares(owners, "abcd")
    alike = [
        {
            worker
            for worker in "abcd"
            if all(({worker, other} <= able) or not ({worker, other} & able) for able in partitions.values())
        }
        for other in "abcd"
    ]
    for group in alike:
        assert max(counts[worker] for worker in group) - min(counts[worker] for worker in group) <= 1


@dataclass(frozen=True)
class Worker:
    """A live worker."""

    id: str
    local: str | None = None
    python: str = "3.11"
    refused: frozenset[str] = frozenset()
    environment: str = ""


@dataclass(frozen=True)
class Registered:
    """A registration, as far as it matters here."""

    id: str = "r"
    python: str = "3.11"
    environment: str = ""


def primary_of(stream):
    """`x:7` is on the shard of node x."""
    return None if stream == b"nowhere" else stream.partition(b":")[0].decode()


STREAMS = [b"%s:%d" % (node, number) for node in (b"p", b"q", b"r") for number in range(30)]


def owned(workers, streams=STREAMS):
    """What each worker takes, as it works it out itself."""
    registrations = {"r": Registered()}
    return {
        worker.id: [stream for _, stream in share(registrations, {"r": streams}, workers, worker.id, primary_of)[0]]
        for worker in workers
    }


def test_a_local_worker_takes_streams_of_its_shard_only():
    """Those that nobody may take are nobody's; two on one shard share it evenly."""
    found = owned([Worker("a", "p"), Worker("b", "p"), Worker("c", "q")])
    assert {name: len(streams) for name, streams in found.items()} == {"a": 15, "b": 15, "c": 30}
    assert all(primary_of(stream) == "p" for stream in found["a"] + found["b"])
    assert all(primary_of(stream) == "q" for stream in found["c"])
    assert not set(found["a"]) & set(found["b"])


def test_streams_that_nobody_takes_are_told():
    """To every worker; where somebody takes all there are none, nor where the worker's Python is why."""

    def unowned(*workers):
        found = [share({"r": Registered()}, {"r": STREAMS}, workers, item.id, primary_of)[1] for item in workers]
        assert all(item == found[0] for item in found)
        return [stream for _, stream in found[0]]

    assert unowned(Worker("a", "p"), Worker("c", "q")) == [stream for stream in STREAMS if primary_of(stream) == "r"]
    assert unowned(Worker("a", "p"), Worker("free")) == []
    assert unowned(Worker("a", "p", python="3.12")) == []


def test_workers_without_a_shard_take_what_the_local_ones_leave_and_all_have_even_shares():
    """As even as it can be: the free one has what only it may take, and no more than the others."""
    found = owned([Worker("a", "p"), Worker("b", "q"), Worker("free")])
    assert {name: len(streams) for name, streams in found.items()} == {"a": 30, "b": 30, "free": 30}
    assert all(primary_of(stream) == "r" for stream in found["free"])
    assert sorted(stream for streams in found.values() for stream in streams) == sorted(STREAMS)


def test_a_local_worker_takes_nothing_whose_shard_is_not_known():
    """Nor what is no stream: key events without the module come from all shards."""
    found = owned([Worker("a", "p"), Worker("free")], [b"nowhere"])
    assert found == {"a": [], "free": [b"nowhere"]}
    assert owned([Worker("a", "p")], [b"nowhere"]) == {"a": []}


def test_where_no_worker_is_local_nobody_asks_for_shards():
    """It costs nothing on one server."""

    def never(_):
        raise AssertionError

    workers = [Worker("a"), Worker("b")]
    assert len(share({"r": Registered()}, {"r": STREAMS}, workers, "a", never)[0]) == 45


def test_a_registration_is_run_in_its_environment_only():
    """Not in workers without one, and these take nothing less because of it."""
    registrations = {"r": Registered(), "e": Registered("e", environment="abc")}
    workers = [Worker("a"), Worker("b"), Worker("c", environment="abc"), Worker("d", environment="other")]
    streams = dict.fromkeys(registrations, STREAMS)
    found = {item.id: share(registrations, streams, workers, item.id, primary_of)[0] for item in workers}
    assert {name: len(keys) for name, keys in found.items()} == {"a": 45, "b": 45, "c": 90, "d": 0}
    assert {registration for registration, _ in found["c"]} == {"e"}
