"""A pipeline of redisgears-1.2 drops what fails and nothing else, for any chain of steps; cut for shards, too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from geartrain.builder import GB, Kind
from geartrain.config import Dialect
from geartrain.pipeline import Future, compile_pipeline, cut

OLD = Dialect.REDISGEARS_1_2
RECORDS = st.lists(st.integers(-3, 30), max_size=9)
STEPS = [Kind.MAP, Kind.FILTER, Kind.FLATMAP, Kind.FOREACH, Kind.COUNT, Kind.GROUPBY, Kind.AGGREGATEBY, Kind.DISTINCT]
CHAINS = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 6)), max_size=6)


class Refused(Exception):
    """What a step raises."""


class Bench:
    """A context whose coroutines run at once."""

    at: Any = None

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Run it."""

        async def waiting() -> Any:
            return await awaitable

        return asyncio.run(waiting())

    def run_async(self, coroutine: Any) -> Any:
        """Not used in this dialect."""
        raise AssertionError(coroutine)

    def disown(self, position: int) -> None:
        """Nothing is put off."""


def weight(record: Any) -> int:
    """A number for any record."""
    return sum(map(ord, repr(record)))


def returned(value: Any, variant: int) -> Any:
    """A value as steps may return it."""
    if variant % 3 == 1:
        future = Future()
        future.set_result(value)
        return future
    return later(value) if variant % 3 == 2 else value


async def later(value: Any) -> Any:
    """A coroutine."""
    return value


def function(kind: Kind, variant: int) -> Any:
    """A step's function, which fails for some records."""

    def call(record: Any) -> Any:
        number = weight(record) + variant
        if number % 5 == 0:
            raise Refused(number)
        made = {Kind.FILTER: number % 2, Kind.FLATMAP: [number, number + 1][: number % 3]}.get(kind, number % 13)
        return returned(made, variant)

    return call


def key(record: Any) -> int:
    """What records are grouped by; it fails for some."""
    if weight(record) % 7 == 0:
        raise Refused(record)
    return weight(record) % 3


def build(chain: list[tuple[Kind, int]]) -> Any:
    """A builder with these steps."""
    builder: Any = GB()
    for kind, variant in chain:
        match kind:
            case Kind.COUNT | Kind.DISTINCT:
                getattr(builder, kind)()
            case Kind.GROUPBY:
                builder.groupby(key, lambda k, a, r: (a or 0) + weight(r) + k)
            case Kind.AGGREGATEBY:
                builder.aggregateby(key, 0, lambda k, a, r: a + weight(r) + k, lambda k, a, p: a + p + k - k)
            case _:
                getattr(builder, kind)(function(kind, variant))
    return builder


def settled(value: Any) -> Any:
    """The value, awaited."""
    return value if isinstance(value, int | list) else Bench().wait(value)


def interpret(chain: list[tuple[Kind, int]], records: list[Any]) -> tuple[list[Any], int]:
    """The results, and how many failed: one step behind the other, each record in a `try` of its own."""
    failed = 0
    for kind, variant in chain:
        given, records = records, []
        groups: dict[Any, int] = {}
        for record in given:
            try:
                _one(kind, function(kind, variant), record, records, groups)
            except Refused:
                failed += 1
        if kind is Kind.COUNT and records:
            records = [len(records)]
        if kind in {Kind.GROUPBY, Kind.AGGREGATEBY}:
            records = [{"key": name, "value": value} for name, value in groups.items()]
    return records, failed


def _one(kind: Kind, call: Any, record: Any, out: list[Any], groups: dict[Any, int]) -> None:
    match kind:
        case Kind.GROUPBY | Kind.AGGREGATEBY:
            groups[key(record)] = groups.get(key(record), 0) + weight(record) + key(record)
        case Kind.COUNT:
            out.append(record)
        case Kind.DISTINCT:
            out += [record] if record not in out else []
        case Kind.MAP:
            out.append(settled(call(record)))
        case Kind.FLATMAP:
            out += settled(call(record))
        case Kind.FILTER:
            out += [record] if settled(call(record)) else []
        case _:
            settled(call(record))
            out.append(record)


@given(CHAINS, RECORDS)
def test_what_fails_is_dropped_and_nothing_else(chain: list[tuple[Kind, int]], records: list[int]) -> None:
    """The results, and the number of errors, are those of the naive interpreter."""
    found = compile_pipeline(build(chain).steps, dialect=OLD).collect(records, Bench())
    assert (found.results, len(found.errors)) == interpret(chain, records)
    assert all("Refused" in error.last for error in found.errors)


@given(CHAINS, st.lists(RECORDS, min_size=1, max_size=3))
def test_shards_together_give_what_one_gives(chain: list[tuple[Kind, int]], shards: list[list[int]]) -> None:
    """Results and errors; of a step that is cut in two both halves drop what fails."""
    parts = cut(build(chain).steps, OLD)
    gathered, errors = [], 0
    for records in shards:
        found = compile_pipeline(parts.shard, dialect=OLD).collect(records, Bench())
        gathered += found.results
        errors += len(found.errors)
    together = compile_pipeline(parts.together, dialect=OLD).collect(gathered, Bench())
    results, failed = interpret(chain, [record for records in shards for record in records])
    assert (together.results, errors + len(together.errors)) == (results, failed)
