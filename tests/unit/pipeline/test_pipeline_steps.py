"""What each step does to the records that reach it."""

from __future__ import annotations

# ruff: noqa: ARG005  # a step's function takes what the step gives it
import itertools
from typing import Any

import pytest

from geartrain.builder import GB
from geartrain.pipeline import compile_pipeline


def test_no_steps_give_a_new_list_of_the_records(run: Any) -> None:
    """Never the list that came in."""
    records = [1, 2]
    result = run(GB(), records)
    assert result == records
    assert result is not records


def test_map_replaces_each_record(run: Any) -> None:
    """By what the function returns, None too."""
    assert run(GB().map(lambda x: x * 2).map(lambda x: None if x == 4 else x), [1, 2, 3]) == [2, None, 6]


def test_flatmap_flattens_lists_and_nothing_else(run: Any) -> None:
    """A tuple, a str or a generator is one record; an empty list is none."""
    values: list[Any] = [[1, 2], (3, 4), "ab", [], [[5]], None]
    assert run(GB().flatmap(lambda x: x), values) == [1, 2, (3, 4), "ab", [5], None]


def test_filter_keeps_what_is_truthy(run: Any) -> None:
    """The verdict is the function's, the record stays as it is."""
    assert run(GB().filter(lambda x: x), [0, 1, "", "a", None, [0]]) == [1, "a", [0]]


def test_foreach_passes_the_record_on(run: Any) -> None:
    """Whatever the function returns."""
    seen: list[int] = []
    assert run(GB().foreach(lambda x: seen.append(x) or "dropped"), [1, 2]) == [1, 2]
    assert seen == [1, 2]


def test_each_record_goes_through_all_steps_before_the_next_is_read(run: Any) -> None:
    """Up to a step that takes every record."""
    seen: list[Any] = []
    builder = GB().foreach(lambda x: seen.append(("first", x))).foreach(lambda x: seen.append(("second", x)))
    run(builder.collect().count().foreach(lambda x: seen.append(("after", x))), [1, 2])
    assert seen == [("first", 1), ("second", 1), ("first", 2), ("second", 2), ("after", 2)]


def test_accumulate_starts_with_none_and_gives_the_last_accumulator(run: Any) -> None:
    """Nothing for no records."""
    calls: list[Any] = []
    assert run(GB().accumulate(lambda acc, x: calls.append(acc) or x), [1, 2, 3]) == [3]
    assert calls == [None, 1, 2]
    assert run(GB().accumulate(lambda acc, x: x), []) == []


@pytest.mark.parametrize("falsy", [0, "", [], None, False, 0.0])
def test_a_falsy_accumulator_is_kept(falsy: Any, run: Any) -> None:
    """In every step that has one."""
    records = [1, 2]
    assert run(GB().accumulate(lambda acc, x: falsy), records) == [falsy]
    assert run(GB().groupby(lambda x: falsy if falsy != [] else 0, lambda k, acc, x: falsy), records) == [
        {"key": falsy if falsy != [] else 0, "value": falsy}
    ]
    assert run(GB().aggregate(5, lambda acc, x: falsy, lambda acc, part: part), records) == [falsy]
    by_key = GB().aggregateby(lambda x: 0, 5, lambda acc, x: falsy, lambda acc, part: part)
    assert run(by_key, records) == [{"key": 0, "value": falsy}]


def test_a_falsy_accumulator_is_what_the_next_call_gets(run: Any) -> None:
    """Not the zero again."""
    got: list[Any] = []
    run(GB().aggregateby(lambda x: 0, 5, lambda acc, x: got.append(acc), lambda acc, part: part), [1, 2, 3])
    run(GB().aggregate(7, lambda acc, x: got.append(acc) or 0, lambda acc, part: part), [1, 2])
    assert got == [5, None, None, 7, 0]


@pytest.mark.parametrize("kind", ["groupby", "localgroupby"])
def test_groupby_folds_each_key_in_the_order_in_which_keys_came(kind: str, run: Any) -> None:
    """The reducer gets the key, the accumulator (None first) and the record."""
    builder = getattr(GB(), kind)(lambda x: x % 2, lambda k, acc, x: [*(acc or []), (k, x)])
    assert run(builder, [3, 2, 5]) == [{"key": 1, "value": [(1, 3), (1, 5)]}, {"key": 0, "value": [(0, 2)]}]
    assert run(builder, []) == []


def test_batchgroupby_reduces_each_keys_list(run: Any) -> None:
    """The reducer gets the key and its records."""
    builder = GB().batchgroupby(lambda x: x % 2, lambda k, records: (k, sum(records)))
    assert run(builder, [3, 2, 5]) == [{"key": 1, "value": (1, 8)}, {"key": 0, "value": (0, 2)}]


def test_aggregate_folds_and_combines_from_the_zero(run: Any) -> None:
    """The combination is applied to the one part that a single server has; no records give the zero."""
    builder = GB().aggregate([], lambda acc, x: [*acc, x], lambda acc, part: [*acc, "part", *part])
    assert run(builder, [1, 2]) == [["part", 1, 2]]
    assert run(builder, []) == [[]]


def test_aggregateby_does_the_same_for_each_key(run: Any) -> None:
    """No records: no keys."""
    builder = GB().aggregateby(lambda x: x % 2, 0, lambda acc, x: acc + x, lambda acc, part: acc + part * 10)
    assert run(builder, [1, 2, 3]) == [{"key": 1, "value": 40}, {"key": 0, "value": 20}]
    assert run(builder, []) == []


def test_a_zero_that_is_changed_in_place_starts_fresh_every_time(run: Any) -> None:
    """For each execution, each key and the combination."""

    def add(acc: list[Any], x: Any) -> list[Any]:
        acc.append(x)
        return acc

    def join(acc: list[Any], part: list[Any]) -> list[Any]:
        acc.extend(part)
        return acc

    zero: list[Any] = []
    whole = compile_pipeline(GB().aggregate(zero, add, join).steps)
    keyed = compile_pipeline(GB().aggregateby(lambda x: x, zero, add, join).steps)
    for _ in range(2):
        assert whole([1, 2], run) == [[1, 2]]
        assert whole([], run) == [[]]
        assert keyed([1, 2, 1], run) == [{"key": 1, "value": [1, 1]}, {"key": 2, "value": [2]}]
    assert whole([], run)[0] is not zero
    assert zero == []


def test_count_gives_one_int(run: Any) -> None:
    """0 for none."""
    assert run(GB().count(), "abc") == [3]
    assert run(GB().filter(lambda x: False).count(), "abc") == [0]


def test_countby_counts_each_key(run: Any) -> None:
    """The record itself is the key where there is no extractor."""
    assert run(GB().countby(), "aba") == [{"key": "a", "value": 2}, {"key": "b", "value": 1}]
    assert run(GB().countby(len), ["aa", "b", "cc"]) == [{"key": 2, "value": 2}, {"key": 1, "value": 1}]


def test_avg_gives_the_mean_or_nothing(run: Any) -> None:
    """Text that is a number counts as that number."""
    assert run(GB().avg(), ["1", 2, 6.0]) == [3.0]
    assert run(GB().avg(lambda x: x["n"]), [{"n": 1}, {"n": 2}]) == [1.5]
    assert run(GB().avg(), []) == []


def test_sort_puts_the_largest_first_unless_told(run: Any) -> None:
    """Equal records keep their order."""
    assert run(GB().sort(), [2, 3, 1]) == [3, 2, 1]
    assert run(GB().sort(reverse=False), [2, 3, 1]) == [1, 2, 3]
    assert [type(x) for x in run(GB().sort(), [1, 1.0, True])] == [int, float, bool]


def test_distinct_keeps_the_first_of_equal_records(run: Any) -> None:
    """Unhashable ones too."""
    assert run(GB().distinct(), [2, 1, 2, 1.0, "a"]) == [2, 1, "a"]
    records: list[Any] = [{"a": [1]}, {"a": [1]}, {"a": (1,)}, [1], [1], (1,), {1}, {1}, ([1],), ([1],)]
    assert run(GB().distinct(), records) == [{"a": [1]}, {"a": (1,)}, [1], (1,), {1}, ([1],)]


def test_distinct_compares_objects_that_only_know_equality(run: Any) -> None:
    """With neither a hash nor parts that have one."""

    class Money:
        __hash__ = None  # type: ignore[assignment]

        def __init__(self, amount: int) -> None:
            self.amount = amount

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Money) and self.amount == other.amount

    result = run(GB().distinct(), [Money(1), Money(2), Money(1), [Money(2)], [Money(2)]])
    assert [x.amount if isinstance(x, Money) else [x[0].amount] for x in result] == [1, 2, [2]]


def test_distinct_starts_anew_in_each_execution(run: Any) -> None:
    """A pipeline keeps nothing between two calls."""
    pipeline = compile_pipeline(GB().distinct().steps)
    assert pipeline([1, 1], run) == pipeline([1, 1], run) == [1]


def test_limit_keeps_a_slice(run: Any) -> None:
    """From a start, or from the first."""
    assert run(GB().limit(2), range(10)) == [0, 1]
    assert run(GB().limit(2, 3), range(10)) == [3, 4]
    assert run(GB().limit(5, start=8), range(10)) == [8, 9]
    assert run(GB().limit(3).limit(5, 1), range(10)) == [1, 2]


def test_limit_reads_no_record_that_it_does_not_need(run: Any) -> None:
    """So that an endless source ends; earlier steps do not see the records that remain."""
    seen: list[int] = []
    source = itertools.count()
    assert run(GB().foreach(seen.append).filter(lambda x: x % 2).limit(2).map(str), source) == ["1", "3"]
    assert seen == [0, 1, 2, 3]
    assert next(source) == 4


def test_a_limit_of_nothing_reads_nothing(run: Any) -> None:
    """And calls no step before it, up to the one that takes every record."""
    seen: list[int] = []
    source = itertools.count()
    assert run(GB().foreach(seen.append).limit(0), source) == []
    assert next(source) == 0
    assert run(GB().foreach(seen.append).count().limit(0), [7]) == []
    assert seen == [7]


def test_limit_ends_the_loops_of_flatmaps_around_it(run: Any) -> None:
    """But not those after it, whose records it has let through."""
    source = itertools.count()
    builder = GB().flatmap(lambda x: [x] * 3).limit(4).flatmap(lambda x: [x, -x])
    assert run(builder, source) == [0, 0, 0, 0, 0, 0, 1, -1]
    assert next(source) == 2


def test_a_filter_after_a_limit_does_not_keep_it_from_ending(run: Any) -> None:
    """The last record let through is dropped later, and still nothing more is read."""
    source = itertools.count()
    assert run(GB().limit(2).filter(lambda x: x == 0), source) == [0]
    assert next(source) == 2


def test_collect_and_repartition_leave_the_records_where_they_are(run: Any) -> None:
    """On one server; the extractor is called all the same, as on many."""
    seen: list[int] = []
    assert run(GB().collect().repartition(seen.append).collect(), [1, 2]) == [1, 2]
    assert seen == [1, 2]


def test_discarded_results_are_not_kept_while_all_steps_run(run: Any) -> None:
    """The result is an empty list."""
    seen: list[int] = []
    assert run(GB().map(lambda x: x + 1).foreach(seen.append), [1, 2], discard=True) == []
    assert run(GB().foreach(seen.append).count(), [5], discard=True) == []
    assert seen == [2, 3, 5]
    source = iter([1, 2])
    assert run(GB(), source, discard=True) == []
    assert list(source) == []


def test_a_lazy_iterable_is_read_record_by_record(run: Any) -> None:
    """Nothing is read ahead of the steps."""
    events: list[Any] = []

    def source() -> Any:
        for number in range(2):
            events.append(("read", number))
            yield number

    run(GB().map(lambda x: x).foreach(lambda x: events.append(("step", x))), source())
    assert events == [("read", 0), ("step", 0), ("read", 1), ("step", 1)]


@pytest.mark.parametrize("kind", ["filter", "flatmap", "map", "limit"])
def test_a_chain_longer_than_pythons_nesting_still_compiles(kind: str, run: Any) -> None:
    """200 steps of one kind, where Python nests 20 loops and indents 100 levels."""
    builder = GB()
    for _ in range(200):
        match kind:
            case "filter":
                builder.filter(lambda x: True)
            case "flatmap":
                builder.flatmap(lambda x: [x])
            case "map":
                builder.map(lambda x: x)
            case _:
                builder.limit(5, 0)
    assert run(builder, range(3)) == [0, 1, 2]


def test_no_step_is_dispatched_per_record() -> None:
    """The generated function holds one loop, and calls the user's functions in it."""
    text = compile_pipeline(GB().map(str).filter(len).foreach(print).steps, discard=True).text
    assert text.splitlines() == [
        "def pipeline(records, context, f1_0=f1_0, f2_0=f2_0, f3_0=f3_0):",
        " for r1 in records:",
        "  r2 = f1_0(r1)",
        "  if f2_0(r2):",
        "   f3_0(r2)",
        "   pass",
        " return []",
    ]
