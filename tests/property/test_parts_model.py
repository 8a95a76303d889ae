"""A pipeline that is cut for several shards gives what it gives on one server: any chain of steps, any shards."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geartrain.builder import GB, Kind, Step
from geartrain.pipeline import compile_pipeline, cut
from geartrain.registry.code import dumps

RECORDS = st.lists(
    st.none() | st.integers(-3, 4) | st.sampled_from(["", "a", "b", "ab"]) | st.lists(st.integers(0, 2), max_size=2),
    max_size=8,
)
SHARDS = st.lists(RECORDS, min_size=1, max_size=4)
STEPS = sorted(kind for kind in Kind if kind is not Kind.LOCALGROUPBY)
CHAINS = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 11)), max_size=7)


def weight(record: Any) -> int:
    """A whole number for any record: sums of it are the same in any grouping."""
    return len(repr(record)) % 5


def build(chain: list[tuple[Kind, int]]) -> Any:
    """A builder with these steps; the number varies what a step does. All functions are those of their arguments."""
    builder: Any = GB()
    for kind, variant in chain:
        _add(builder, kind, variant)
    return builder


def _add(builder: Any, kind: Kind, variant: int) -> None:  # noqa: C901  # a table
    def value(*arguments: Any) -> Any:
        number = sum(map(weight, arguments)) + variant
        return [0, "", [], None, number, [number % 3, 0], ["x", number], {"a": number % 2}][number % 8]

    def key(record: Any) -> int:
        return (weight(record) + variant) % 3

    def longer(acc: list[Any], record: Any) -> list[Any]:
        acc.append(record)
        return acc

    sums = (0, lambda acc, record: acc + weight(record), lambda acc, part: acc + part)
    lists = ([], longer, lambda acc, part: acc + part)
    match kind:
        case Kind.MAP | Kind.FLATMAP | Kind.FILTER | Kind.FOREACH | Kind.ACCUMULATE:
            getattr(builder, kind)(value)
        case Kind.GROUPBY | Kind.BATCHGROUPBY:
            getattr(builder, kind)(key, value)
        case Kind.AGGREGATE:
            builder.aggregate(*(lists if variant % 2 else sums))
        case Kind.AGGREGATEBY:
            builder.aggregateby(key, *(lists if variant % 2 else sums))
        case Kind.COUNTBY | Kind.AVG | Kind.REPARTITION:
            getattr(builder, kind)(key)
        case Kind.SORT:
            # Records that are equal for the sort and yet differ.
            builder.map(Weighed).sort(variant % 2 == 0)
        case Kind.LIMIT:
            builder.limit(variant % 4, variant // 4 % 3)
        case _:
            getattr(builder, kind)()


class Weighed:
    """A record that is compared by its weight, and known by its text."""

    def __init__(self, record: Any) -> None:
        self.record = record

    def __lt__(self, other: Weighed) -> bool:
        return weight(self.record) < weight(other.record)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Weighed) and weight(self.record) == weight(other.record)

    def __hash__(self) -> int:
        return weight(self.record)

    def __repr__(self) -> str:
        return f"w{self.record!r}"


def one_server(steps: tuple[Step, ...], shards: list[list[Any]]) -> list[Any]:
    """The results where all records are in one place."""
    return compile_pipeline(steps)([record for shard in shards for record in shard], None)


def cluster(steps: tuple[Step, ...], shards: list[list[Any]], travel: Any = lambda value: value) -> list[Any]:
    """The results of both halves; what a shard gives goes through `travel`."""
    parts = cut(steps)
    shard = compile_pipeline(travel(parts.shard))
    met = [record for records in shards for record in travel(shard(records, None))]
    return compile_pipeline(parts.together)(met, None) if parts.together else met


def by_pickle(value: Any) -> Any:
    """What comes out where it is pickled as it is on its way to a worker."""
    return pickle.loads(dumps(value))


@given(chain=CHAINS, shards=SHARDS)
def test_shards_give_what_one_server_gives(chain: list[tuple[Kind, int]], shards: list[list[Any]]) -> None:
    """The same results in the same order, where one server has the records of the shards one behind the other."""
    steps = build(chain).steps
    assert repr(cluster(steps, shards)) == repr(one_server(steps, shards))


@given(chain=CHAINS, shards=SHARDS)
def test_halves_and_results_survive_the_way_to_a_worker(chain: list[tuple[Kind, int]], shards: list[list[Any]]) -> None:
    """Pickled, they give the same."""
    steps = build(chain).steps
    assert repr(cluster(steps, shards, by_pickle)) == repr(one_server(steps, shards))


@given(shards=SHARDS, seed=st.randoms(use_true_random=False), step=st.sampled_from(["count", "countby", "aggregate"]))
def test_where_records_lie_changes_no_sum(shards: list[list[Any]], seed: Any, step: str) -> None:
    """Counts and sums are the same for any order of the records, and any number of shards."""
    builder = build([(Kind.MAP, 1), (Kind.MAP, 3), (Kind(step), 0)] if step != "countby" else [(Kind.COUNTBY, 0)])
    records = [record for shard in shards for record in shard]
    seed.shuffle(records)
    assert sorted(map(repr, cluster(builder.steps, shards))) == sorted(map(repr, one_server(builder.steps, [records])))


@given(shards=SHARDS, length=st.integers(0, 5), start=st.integers(0, 3))
def test_a_shard_gives_no_more_than_a_limit_can_let_through(shards: list[list[Any]], length: int, start: int) -> None:
    """`start + length` records at the most, also behind a sort."""
    for builder in (GB().limit(length, start), GB().map(repr).sort().limit(length, start)):
        shard = compile_pipeline(cut(builder.steps).shard)
        assert all(len(shard(records, None)) <= (start + length if length else 0) for records in shards)


@pytest.mark.parametrize("step", ["countby", "aggregateby", "distinct", "avg", "count", "aggregate"])
def test_parts_are_small_where_results_are(step: str) -> None:
    """A shard with many equal records gives one part, not the records."""
    builder = build([(Kind(step), 0)]) if step != "aggregateby" else build([(Kind.AGGREGATEBY, 0)])
    assert len(compile_pipeline(cut(builder.steps).shard)(["a"] * 1000, None)) == 1


def test_local_groups_are_those_of_a_shard() -> None:
    """`localgroupby` alone gives what depends on where records lie; a groupby behind it makes that equal."""
    local = GB().localgroupby(lambda record: record, lambda _key, acc, _record: (acc or 0) + 1)
    shards = [["a", "a", "b"], ["a"]]
    assert cluster(local.steps, shards) == [
        {"key": "a", "value": 2},
        {"key": "b", "value": 1},
        {"key": "a", "value": 1},
    ]
    total = local.groupby(lambda group: group["key"], lambda _key, acc, group: (acc or 0) + group["value"])
    assert cluster(total.steps, shards) == [{"key": "a", "value": 3}, {"key": "b", "value": 1}]


def test_a_step_has_its_number_in_both_halves() -> None:
    """Errors name steps as the user counts them."""
    steps = GB().map(repr).aggregate(0, lambda a, _: a, lambda a, b: a + b).map(int).steps
    parts = cut(steps)
    assert compile_pipeline(parts.shard).describe(1).startswith("step 1, map(repr)")
    for half in parts:
        assert compile_pipeline(half).describe(2).startswith("step 2, aggregate(")
    assert compile_pipeline(parts.together).describe(3) == "step 3, map(int)"
