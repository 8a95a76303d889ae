"""A compiled pipeline gives what a naive interpreter of the same steps gives, for any chain of steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from geartrain.builder import GB, Step
from geartrain.errors import StepError
from geartrain.pipeline import Pipeline, compile_pipeline
from geartrain.pipeline.describe import record_text


def interpret(steps: Iterable[Step], records: Iterable[Any]) -> list[Any]:
    """Run the steps one behind the other, each as one lazy generator; those that need every record, at once."""
    stream: Iterator[Any] = iter(records)
    for step in steps:
        stream = INTERPRETERS[step.kind](stream, *step.functions, **step.options)
        if step.kind not in STREAMING:
            stream = iter(list(stream))
    return list(stream)


def _flatmap(stream: Any, f: Any) -> Any:
    for record in stream:
        value = f(record)
        yield from value if isinstance(value, list) else [value]


def _foreach(stream: Any, f: Any) -> Any:
    for record in stream:
        f(record)
        yield record


def _accumulate(stream: Any, f: Any) -> Any:
    records = list(stream)
    acc = None
    for record in records:
        acc = f(acc, record)
    if records:
        yield acc


def _batches(stream: Any, extractor: Any) -> dict[Any, list[Any]]:
    batches: dict[Any, list[Any]] = {}
    for record in stream:
        batches.setdefault(extractor(record), []).append(record)
    return batches


def _groupby(stream: Any, extractor: Any, reducer: Any) -> Any:
    for key, records in _batches(stream, extractor).items():
        acc = None
        for record in records:
            acc = reducer(key, acc, record)
        yield {"key": key, "value": acc}


def _batchgroupby(stream: Any, extractor: Any, reducer: Any) -> Any:
    for key, records in _batches(stream, extractor).items():
        yield {"key": key, "value": reducer(key, records)}


def _aggregate(stream: Any, seq: Any, comb: Any, zero: Any) -> Any:
    records = list(stream)
    acc = copy.deepcopy(zero)
    for record in records:
        acc = seq(acc, record)
    yield comb(copy.deepcopy(zero), acc) if records else acc


def _aggregateby(stream: Any, extractor: Any, seq: Any, comb: Any, zero: Any) -> Any:
    for key, records in _batches(stream, extractor).items():
        (value,) = _aggregate(records, seq, comb, zero)
        yield {"key": key, "value": value}


def _countby(stream: Any, extractor: Any) -> Any:
    for key, records in _batches(stream, extractor).items():
        yield {"key": key, "value": len(records)}


def _avg(stream: Any, extractor: Any) -> Any:
    values = [extractor(record) for record in stream]
    if values:
        yield sum(values) / len(values)


def _sort(stream: Any, reverse: bool) -> Any:
    yield from sorted(stream, reverse=reverse)


def _distinct(stream: Any) -> Any:
    seen: list[Any] = []
    for record in stream:
        if record not in seen:
            seen.append(record)
            yield record


def _limit(stream: Any, length: int, start: int) -> Any:
    number = 0
    while number < start + length:
        try:
            record = next(stream)
        except StopIteration:
            return
        number += 1
        if number > start:
            yield record


def _count(stream: Any) -> Any:
    yield len(list(stream))


INTERPRETERS: dict[str, Callable[..., Any]] = {
    "map": lambda stream, f: map(f, stream),
    "filter": lambda stream, f: filter(f, stream),
    "flatmap": _flatmap,
    "foreach": _foreach,
    "accumulate": _accumulate,
    "groupby": _groupby,
    "localgroupby": _groupby,
    "batchgroupby": _batchgroupby,
    "aggregate": _aggregate,
    "aggregateby": _aggregateby,
    "count": _count,
    "countby": _countby,
    "avg": _avg,
    "sort": _sort,
    "distinct": _distinct,
    "limit": lambda stream, length, start: _limit(stream, length, start) if length else iter(()),
    "collect": lambda stream: stream,
    "repartition": _foreach,
}


STREAMING = {"map", "flatmap", "filter", "foreach", "distinct", "limit", "collect", "repartition"}


class World:
    """The functions of the steps, which work on any record and write down every call."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def _seen(self, name: str, *arguments: Any) -> int:
        self.calls.append((name, copy.deepcopy(arguments)))
        return len(repr(arguments)) + len(self.calls[-1])

    def build(self, chain: list[tuple[str, int]]) -> GB:
        """A builder with these steps; the number varies what a step does."""
        builder = GB()
        for kind, variant in chain:
            self._add(builder, kind, variant)
        return builder

    def _add(self, builder: Any, kind: str, variant: int) -> None:  # noqa: C901  # a table
        def value(*arguments: Any) -> Any:
            number = self._seen(kind, *arguments) + variant
            return [0, "", [], None, number % 4, [number % 3, 0], ["x"], {"a": number % 2}, number][number % 9]

        def key(record: Any) -> Any:
            return (self._seen("key", record) + variant) % 3

        def add(acc: list[Any], *records: Any) -> list[Any]:
            self._seen("add", acc, *records)
            acc.append(len(records))
            return acc

        match kind:
            case "map" | "flatmap" | "filter" | "foreach" | "accumulate":
                getattr(builder, kind)(value)
            case "groupby" | "localgroupby" | "batchgroupby":
                getattr(builder, kind)(key, value)
            case "aggregate":
                builder.aggregate(*([[], add, add] if variant % 2 else [0, value, value]))
            case "aggregateby":
                builder.aggregateby(key, *([[], add, add] if variant % 2 else [None, value, value]))
            case "countby" | "avg" | "repartition":
                getattr(builder, kind)(key)
            case "sort":
                builder.map(repr).sort(variant % 2 == 0)
            case "limit":
                builder.limit(variant % 4, variant // 4 % 3)
            case _:
                getattr(builder, kind)()


RECORDS = st.lists(
    st.recursive(
        st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "a", b"", 0.0]),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
        max_leaves=4,
    ),
    max_size=8,
)
CHAINS = st.lists(st.tuples(st.sampled_from(sorted(INTERPRETERS)), st.integers(0, 11)), max_size=7)


@given(chain=CHAINS, records=RECORDS)
def test_compiled_and_interpreted_pipelines_agree_on_results_and_on_every_call(
    chain: list[tuple[str, int]], records: list[Any]
) -> None:
    """The order of the calls too: record by record within a stage."""
    compiled, naive = World(), World()
    result = compile_pipeline(compiled.build(chain).steps)(iter(records), None)
    assert result == interpret(naive.build(chain).steps, iter(records))
    assert sorted(map(repr, compiled.calls)) == sorted(map(repr, naive.calls))
    if all(kind in STREAMING for kind, _ in chain):
        assert compiled.calls == naive.calls


@given(chain=CHAINS, records=RECORDS)
def test_discarding_the_results_changes_no_call(chain: list[tuple[str, int]], records: list[Any]) -> None:
    """Only what is returned."""
    kept, discarded = World(), World()
    compile_pipeline(kept.build(chain).steps)(records, None)
    assert compile_pipeline(discarded.build(chain).steps, discard=True)(records, None) == []
    assert kept.calls == discarded.calls


@given(chain=CHAINS, records=RECORDS, stop=st.integers(0, 20))
def test_an_error_names_the_step_whose_function_raised(
    chain: list[tuple[str, int]], records: list[Any], stop: int
) -> None:
    """Wherever in the chain it is, and with the record it was given."""
    world = World()
    seen = world._seen
    raised: list[Any] = []

    def breaking(name: str, *arguments: Any) -> int:
        if len(world.calls) == stop:
            raised.append(arguments)
            raise ArithmeticError(name)
        return seen(name, *arguments)

    world._seen = breaking  # type: ignore[method-assign]
    pipeline = compile_pipeline(world.build(chain).steps)
    error = failure(pipeline, records)
    assert (error is None) == (raised == [])
    if error is not None:
        number = int(error.step.removeprefix("step ").partition(",")[0])
        assert error.step == pipeline.describe(number)
        assert str(error.__cause__) in {"key", "add", pipeline.steps[number - 1].kind.value}
        assert error.record in {None, *(record_text(argument) for argument in raised[0])}


def failure(pipeline: Pipeline, records: list[Any]) -> StepError | None:
    """The error of one execution."""
    try:
        pipeline(records, None)
    except StepError as error:
        return error
    return None
