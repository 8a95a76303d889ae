"""The steps as methods: what a script writes between the reader and `register()` or `run()`."""

from __future__ import annotations

# The parameters' names are the interface: they are those that scripts in the field pass by keyword.
# ruff: noqa: N803
from collections.abc import Callable
from typing import Any, Self, TypeAlias

from geartrain.builder import checks
from geartrain.builder.calls import checked
from geartrain.builder.functions import itself
from geartrain.builder.host import current_dialect
from geartrain.builder.steps import Kind, Step
from geartrain.config import Dialect

OneRecord: TypeAlias = Callable[[Any], Any]
Fold: TypeAlias = Callable[[Any, Any], Any]
KeyedFold: TypeAlias = Callable[[Any, Any, Any], Any]


class Stepping:
    """Collects steps. Every method adds one to this builder and returns it.

    In a registration the steps work on the records of one execution (its batch); in `run()` on all records. A step
    that takes every record before it gives the first (accumulate, the groupings, aggregate, aggregateby, count,
    countby, avg, sort) ends a stage: what stands before it is finished for all records before what follows starts.
    Within a stage each record goes through all steps before the next one is read.
    """

    def __init__(self) -> None:
        self._steps: list[Step] = []

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that were added so far."""
        return tuple(self._steps)

    def _add(self, kind: Kind, *functions: Callable[..., Any], **options: Any) -> Self:
        self._steps.append(Step(kind, functions, options))
        return self

    def _each(self, kind: Kind, f: OneRecord) -> Self:
        return self._add(kind, checks.function(kind.value, "f", f, may_await=True))

    def _keyed(self, kind: Kind, extractor: OneRecord, **functions: Callable[..., Any]) -> Self:
        # RedisGears awaits what these return (and no extractor's).
        may_await = kind is Kind.AGGREGATEBY and current_dialect() is Dialect.REDISGEARS_1_2
        checked_ones = (checks.function(kind.value, name, f, may_await=may_await) for name, f in functions.items())
        return self._add(kind, checks.function(kind.value, "extractor", extractor), *checked_ones)

    @checked
    def map(self, f: OneRecord) -> Self:
        """Replace each record by `f(record)`; `f` may be `async def`."""
        return self._each(Kind.MAP, f)

    @checked
    def flatmap(self, f: OneRecord) -> Self:
        """Replace each record by the items of the list `f(record)`; anything but a list is one record.

        `f` may be `async def`.
        """
        return self._each(Kind.FLATMAP, f)

    @checked
    def filter(self, f: OneRecord) -> Self:
        """Keep the records for which `f(record)` is true; `f` may be `async def`."""
        return self._each(Kind.FILTER, f)

    @checked
    def foreach(self, f: OneRecord) -> Self:
        """Call `f(record)` for its effect; the record goes on as it is. `f` may be `async def`."""
        return self._each(Kind.FOREACH, f)

    @checked
    def accumulate(self, f: Fold) -> Self:
        """Fold all records into one: `f(accumulator, record)`, where the first accumulator is None.

        No records: no result.
        """
        return self._add(Kind.ACCUMULATE, checks.function("accumulate", "f", f))

    @checked
    def localgroupby(self, extractor: OneRecord, reducer: KeyedFold) -> Self:
        """Like `groupby`, for the records of each shard alone; in a registration, and on one server, the same."""
        return self._keyed(Kind.LOCALGROUPBY, extractor, reducer=reducer)

    @checked
    def groupby(self, extractor: OneRecord, reducer: KeyedFold) -> Self:
        """Fold the records of each key: `reducer(key, accumulator, record)`, where the first accumulator is None.

        The key of a record is `extractor(record)`, which must be hashable. Gives `{'key': key, 'value': accumulator}`
        for each key, in the order in which the keys came.
        """
        return self._keyed(Kind.GROUPBY, extractor, reducer=reducer)

    @checked
    def batchgroupby(self, extractor: OneRecord, reducer: Fold) -> Self:
        """Reduce the list of each key's records: `{'key': key, 'value': reducer(key, records)}`."""
        return self._keyed(Kind.BATCHGROUPBY, extractor, reducer=reducer)

    @checked
    def aggregate(self, zero: Any, seqOp: Fold, combOp: Fold) -> Self:
        """Fold all records into one value, in parts that can be folded apart.

        Each part (a shard that has records) starts from a copy of `zero` and applies `seqOp(accumulator, record)`;
        then the parts are put together, again from a copy of `zero`, with `combOp(accumulator, part)`. So `zero` should
        change nothing in either. On one server there is one part. No records: a copy of `zero`; in the dialect
        redisgears-1.2 no result, and the functions may be `async def` there.
        """
        may_await = current_dialect() is Dialect.REDISGEARS_1_2
        pair = (("seqOp", seqOp), ("combOp", combOp))
        functions = [checks.function("aggregate", name, f, may_await=may_await) for name, f in pair]
        return self._add(Kind.AGGREGATE, *functions, zero=zero)

    @checked
    def aggregateby(self, extractor: OneRecord, zero: Any, seqOp: Fold, combOp: Fold) -> Self:
        """Like `aggregate`, for each key apart: gives `{'key': key, 'value': aggregate}` for each key.

        In the dialect redisgears-1.2 the functions are given the key first: `seqOp(key, accumulator, record)` and
        `combOp(key, accumulator, part)`.
        """
        return self._keyed(Kind.AGGREGATEBY, extractor, seqOp=seqOp, combOp=combOp)._with(zero=zero)

    @checked
    def count(self) -> Self:
        """Give the number of records, an int; 0 where there are none (in the dialect redisgears-1.2 no result)."""
        return self._add(Kind.COUNT)

    @checked
    def countby(self, extractor: OneRecord = itself) -> Self:
        """Count the records of each key: `{'key': key, 'value': count}`; without an extractor the record is the key."""
        return self._keyed(Kind.COUNTBY, extractor)

    @checked
    def avg(self, extractor: OneRecord = float) -> Self:
        """Give the mean of `extractor(record)`, which must be a number. No records: no result."""
        return self._keyed(Kind.AVG, extractor)

    @checked
    def sort(self, reverse: bool = True) -> Self:
        """Sort the records, the largest first unless `reverse=False`; equal ones keep their order."""
        return self._add(Kind.SORT, reverse=checks.flag("sort", "reverse", reverse))

    @checked
    def distinct(self) -> Self:
        """Keep the first of equal records. Lists, dicts and other unhashable records are compared among each other."""
        return self._add(Kind.DISTINCT)

    @checked
    def limit(self, length: int, start: int = 0) -> Self:
        """Keep `length` records, from number `start` (0 is the first).

        When the last of them has gone through the steps after it, no further record is read: the steps before it, back
        to the last one that ends a stage or is `async def`, are not called for the records that remain.
        """
        return self._add(
            Kind.LIMIT,
            length=checks.whole("limit", "length", length, least=0),
            start=checks.whole("limit", "start", start, least=0),
        )

    @checked
    def collect(self) -> Self:
        """Bring the records of all shards together in `run()`; in a registration, and on one server, they are."""
        return self._add(Kind.COLLECT)

    @checked
    def repartition(self, extractor: OneRecord) -> Self:
        """Call `extractor(record)`, and let the record go on.

        RedisGears moved records to the shard of that key; here every key is reached from everywhere.
        """
        return self._keyed(Kind.REPARTITION, extractor)

    def _with(self, **options: Any) -> Self:
        """Give the last step its options."""
        last = self._steps[-1]
        self._steps[-1] = Step(last.kind, last.functions, options)
        return self
