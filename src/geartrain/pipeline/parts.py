"""A pipeline over several shards, cut in two: what each does with its own records, and what is done where they meet.

The results are those of one server that has the records of all shards, one shard's behind the other's. What comes first
of these steps decides where the cut is:

| first of these | each shard | where the results meet |
|---|---|---|
| count, countby, avg, aggregate, aggregateby | its part of it | the parts are joined |
| sort; with a limit right behind it | sorts, and keeps what the limit can let through | merges |
| distinct | keeps one of equal records | keeps one of equal records |
| limit | the first `start + length` records | the limit |
| accumulate, groupby, batchgroupby | nothing: their functions take the records in order | the step itself |
| collect | nothing | what follows |
| none of them | everything | nothing |

What stands before the cut runs on the shard: map, flatmap, filter, foreach, localgroupby (whose groups are those of one
shard), and repartition, whose record stays where it is, because nothing that follows can notice. What stands behind the
cut runs once, over everything.

In the dialect redisgears-1.2 accumulate and limit are each shard's own, and do not cut; a repartition does where a step
comes behind it that sees which records are together (localgroupby, accumulate): RedisGears moves records there so that
they are. Here they then meet in one place.

A step keeps its number in both halves, so that an error names it as the user counts: steps that have been done already
are a `collect`, which does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from geartrain.builder.steps import Kind, Step
from geartrain.config import Dialect

HALF = "half"
"""The option of a step that is cut in two: which half it is."""


class Half(StrEnum):
    """The halves of a step."""

    SHARD = "shard"
    TOGETHER = "together"


class Parts(NamedTuple):
    """A pipeline, cut.

    Attributes:
        shard: the steps for the records of one shard.
        together: the steps for the results of `shard`, one shard's behind the other's; () where these are the results.
    """

    shard: tuple[Step, ...]
    together: tuple[Step, ...]


_DONE = Step(Kind.COLLECT)
_HALVED = {Kind.AGGREGATE, Kind.AGGREGATEBY, Kind.COUNT, Kind.COUNTBY, Kind.AVG}
_WHOLE = {Kind.ACCUMULATE, Kind.GROUPBY, Kind.BATCHGROUPBY, Kind.COLLECT}
_CUTS = _HALVED | _WHOLE | {Kind.SORT, Kind.DISTINCT, Kind.LIMIT}
_OF_ONE_SHARD = {Kind.ACCUMULATE, Kind.LIMIT}
_SEE_OTHERS = {Kind.LOCALGROUPBY, Kind.ACCUMULATE}


def cut(steps: Sequence[Step], dialect: Dialect = Dialect.GEARTRAIN) -> Parts:
    """Cut a pipeline."""
    steps = tuple(steps)
    at = _place(steps) if dialect is not Dialect.REDISGEARS_1_2 else _old_place(steps)
    if at is None:
        return Parts(steps, ())
    done, rest = (_DONE,) * at, steps[at:]
    step = steps[at]
    if step.kind in _HALVED:
        halves = _half(step, Half.SHARD), _half(step, Half.TOGETHER)
        return Parts((*steps[:at], halves[0]), (*done, halves[1], *rest[1:]))
    return Parts((*steps[:at], *_ahead(rest)), (*done, *rest))


def _place(steps: Sequence[Step]) -> int | None:
    return next((place for place, step in enumerate(steps) if step.kind in _CUTS), None)


def _old_place(steps: Sequence[Step]) -> int | None:
    cuts = _CUTS - _OF_ONE_SHARD
    for place, step in enumerate(steps):
        if step.kind in cuts:
            return place
        if step.kind is Kind.REPARTITION:
            behind = [later.kind for later in steps[place + 1 :]]
            end = next((at for at, kind in enumerate(behind) if kind in cuts), len(behind))
            if not _SEE_OTHERS.isdisjoint(behind[:end]):
                return place
    return None


def counting(steps: Sequence[Step]) -> tuple[Step, ...] | None:
    """The steps for numbers of records in place of the records; None: they begin with something else than `count`."""
    if not steps or steps[0].kind is not Kind.COUNT or steps[0].options.get(HALF) is Half.TOGETHER:
        return None
    return _half(steps[0], Half.TOGETHER), *steps[1:]


def keeps_shards_whole(steps: Sequence[Step], dialect: Dialect) -> bool:
    """Whether the records of one shard must stay together for what stands before the cut of `steps`."""
    of_one_shard = {Kind.LOCALGROUPBY} | (_OF_ONE_SHARD if dialect is Dialect.REDISGEARS_1_2 else set())
    return any(step.kind in of_one_shard for step in cut(steps, dialect).shard)


def _ahead(rest: Sequence[Step]) -> tuple[Step, ...]:
    """What a shard can do of steps that are done again where the results meet, so that it gives less."""
    match rest[0].kind:
        case Kind.SORT if len(rest) > 1 and rest[1].kind is Kind.LIMIT:
            return rest[0], _reach(rest[1])
        case Kind.SORT | Kind.DISTINCT:
            return (rest[0],)
        case Kind.LIMIT:
            return (_reach(rest[0]),)
        case _:
            return ()


def _reach(limit: Step) -> Step:
    """The limit that lets through whatever of one shard can be let through by `limit`."""
    length, start = limit.options["length"], limit.options["start"]
    return Step(Kind.LIMIT, (), {"length": start + length if length else 0, "start": 0})


def _half(step: Step, half: Half) -> Step:
    options: Mapping[str, object] = {**step.options, HALF: half}
    return Step(step.kind, step.functions, options)
