"""A pipeline cut into stages: steps that pass records on one by one, and the barrier that ends them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from geartrain.builder.functions import is_async
from geartrain.builder.steps import Kind, Step
from geartrain.pipeline.barriers import BARRIERS, CONCURRENT, GATHER, JOINING, PARTIAL, Barrier
from geartrain.pipeline.oldbarriers import OLD_BARRIERS, OLD_JOINING, OLD_PARTIAL
from geartrain.pipeline.parts import HALF, Half

# CPython nests at most 20 loops (and blocks of `try`, of which the guarded ones have one in each loop), and indents at
# most 100 levels. Steps beyond go to a loop of their own, over a list: there the records pass all together instead of
# one by one.
_MOST_LOOPS = 12
_MOST_GUARDED_LOOPS = 8
_MOST_INDENTED = 60
_INDENTING = {Kind.FILTER, Kind.DISTINCT, Kind.LIMIT, Kind.FLATMAP}


class Numbered(NamedTuple):
    """A step and its number; 1 is the first."""

    number: int
    step: Step


class Stage(NamedTuple):
    """One loop.

    Attributes:
        passing: the steps that take a record and pass on none, one or some.
        barrier: what ends the loop; None at the end of the pipeline, where the results are kept.
        ending: the step of the barrier; None where only the loop had become too deep.
    """

    passing: tuple[Numbered, ...]
    barrier: Barrier | None
    ending: Numbered | None


def stages(steps: Sequence[Step], *, old: bool = False) -> Iterator[Stage]:
    """Cut the steps; the last stage has no barrier (and often no steps). `old`: as in RedisGears 1.2."""
    passing: list[Numbered] = []
    for numbered in map(Numbered._make, enumerate(steps, 1)):
        barrier = _old_barrier(numbered.step) if old else _barrier(numbered.step)
        if barrier is not None:
            yield Stage(tuple(passing), barrier, numbered)
            passing = []
            continue
        passing.append(numbered)
        if _too_deep(passing, _MOST_GUARDED_LOOPS if old else _MOST_LOOPS):
            yield Stage(tuple(passing), GATHER, None)
            passing = []
    yield Stage(tuple(passing), None, None)


def _barrier(step: Step) -> Barrier | None:
    if any(is_async(function) for function in step.functions):
        return CONCURRENT[step.kind]
    half = step.options.get(HALF)
    if half is not None:
        return (PARTIAL if half == Half.SHARD else JOINING)[step.kind]
    return BARRIERS.get(step.kind)


def _old_barrier(step: Step) -> Barrier | None:
    """A coroutine function is a function like any other there: each record is awaited before the next one is read."""
    half = step.options.get(HALF)
    if half is not None:
        return (OLD_PARTIAL if half == Half.SHARD else OLD_JOINING)[step.kind]
    return OLD_BARRIERS.get(step.kind)


def _too_deep(passing: Sequence[Numbered], most_loops: int) -> bool:
    kinds = [numbered.step.kind for numbered in passing]
    return kinds.count(Kind.FLATMAP) >= most_loops or sum(kind in _INDENTING for kind in kinds) >= _MOST_INDENTED
