"""The steps of a pipeline, as data: what `GearsBuilder` collects and `geartrain.pipeline` compiles.

A step is a kind, the user's functions in the order of the step's arguments, and its plain options. It holds no
behaviour, so that it pickles small and stays readable by later versions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a step does to the records that reach it; the value is the method of `GearsBuilder` that adds it."""

    MAP = "map"
    FLATMAP = "flatmap"
    FILTER = "filter"
    FOREACH = "foreach"
    ACCUMULATE = "accumulate"
    LOCALGROUPBY = "localgroupby"
    GROUPBY = "groupby"
    BATCHGROUPBY = "batchgroupby"
    AGGREGATE = "aggregate"
    AGGREGATEBY = "aggregateby"
    COUNT = "count"
    COUNTBY = "countby"
    AVG = "avg"
    SORT = "sort"
    DISTINCT = "distinct"
    LIMIT = "limit"
    COLLECT = "collect"
    REPARTITION = "repartition"


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        kind: what it does.
        functions: the user's functions, in the order of the method's arguments; may be `async def` in map, flatmap,
            filter and foreach.
        options: the method's other arguments by name (`zero`, `length`, `start`, `reverse`).
    """

    kind: Kind
    functions: tuple[Callable[..., Any], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
