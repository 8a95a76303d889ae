"""The steps that take every record before they give the first, as lines of generated code.

Some of them can be cut in two (`geartrain.pipeline.parts`): `PARTIAL` is what each shard does with its own records,
`JOINING` takes what the shards gave.

In the templates `{n}` is the step's number (it makes local names unique), `{r}` the record, `{f0}`, `{f1}`, ...
the step's functions, `{zero}` the maker of fresh zeros, `{reverse}` an option. `before` runs ahead of the loop, `each`
in it for every record, `after` behind it; `result` is the iterable that the next loop goes over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from geartrain.builder.steps import Kind


class Barrier(NamedTuple):
    """One step's lines."""

    before: tuple[str, ...]
    each: tuple[str, ...]
    after: tuple[str, ...]
    result: str


_GROUPS = ("g{n} = {{}}", "get{n} = g{n}.get")
_LIST = ("l{n} = []", "push{n} = l{n}.append")
_TOGETHER = "done{n} = context.run_async(concurrently({f0}, l{n})) if l{n} else []"

# An accumulator may be anything, None too: whether there was a record is kept apart from it.
_GROUPBY = Barrier(
    before=_GROUPS,
    each=("k{n} = {f0}({r})", "g{n}[k{n}] = {f1}(k{n}, get{n}(k{n}), {r})"),
    after=("out{n} = pairs(g{n})",),
    result="out{n}",
)

BARRIERS: Mapping[Kind, Barrier] = {
    Kind.ACCUMULATE: Barrier(
        before=("a{n} = None", "some{n} = False"),
        each=("a{n} = {f0}(a{n}, {r})", "some{n} = True"),
        after=("out{n} = [a{n}] if some{n} else []",),
        result="out{n}",
    ),
    Kind.GROUPBY: _GROUPBY,
    Kind.LOCALGROUPBY: _GROUPBY,
    Kind.BATCHGROUPBY: Barrier(
        before=("g{n} = defaultdict(list)",),
        each=("g{n}[{f0}({r})].append({r})",),
        after=("out{n} = reduced(g{n}, {f1})",),
        result="out{n}",
    ),
    Kind.AGGREGATE: Barrier(
        before=("a{n} = {zero}()", "some{n} = False"),
        each=("a{n} = {f0}(a{n}, {r})", "some{n} = True"),
        after=("out{n} = [{f1}({zero}(), a{n}) if some{n} else a{n}]",),
        result="out{n}",
    ),
    Kind.AGGREGATEBY: Barrier(
        before=("g{n} = {{}}",),
        each=("k{n} = {f0}({r})", "g{n}[k{n}] = {f1}(g{n}[k{n}] if k{n} in g{n} else {zero}(), {r})"),
        after=("out{n} = combined(g{n}, {zero}, {f2})",),
        result="out{n}",
    ),
    Kind.COUNT: Barrier(before=("c{n} = 0",), each=("c{n} += 1",), after=("out{n} = [c{n}]",), result="out{n}"),
    Kind.COUNTBY: Barrier(
        before=_GROUPS,
        each=("k{n} = {f0}({r})", "g{n}[k{n}] = get{n}(k{n}, 0) + 1"),
        after=("out{n} = pairs(g{n})",),
        result="out{n}",
    ),
    Kind.AVG: Barrier(
        before=("s{n} = c{n} = 0",),
        each=("s{n} = s{n} + {f0}({r})", "c{n} += 1"),
        after=("out{n} = [s{n} / c{n}] if c{n} else []",),
        result="out{n}",
    ),
    Kind.SORT: Barrier(before=_LIST, each=("push{n}({r})",), after=("l{n}.sort(reverse={reverse})",), result="l{n}"),
}

_ITEMS = ("out{n} = list(g{n}.items())",)

PARTIAL: Mapping[Kind, Barrier] = {
    Kind.AGGREGATE: BARRIERS[Kind.AGGREGATE]._replace(after=("out{n} = [a{n}] if some{n} else []",)),
    Kind.AGGREGATEBY: BARRIERS[Kind.AGGREGATEBY]._replace(after=_ITEMS),
    Kind.COUNT: BARRIERS[Kind.COUNT],
    Kind.COUNTBY: BARRIERS[Kind.COUNTBY]._replace(after=_ITEMS),
    Kind.AVG: BARRIERS[Kind.AVG]._replace(after=("out{n} = [(s{n}, c{n})] if c{n} else []",)),
    Kind.SORT: BARRIERS[Kind.SORT],
}
"""A step's first half: from the records of one shard to what `JOINING` takes."""

JOINING: Mapping[Kind, Barrier] = {
    Kind.AGGREGATE: Barrier(
        before=("a{n} = {zero}()",),
        each=("a{n} = {f1}(a{n}, {r})",),
        after=("out{n} = [a{n}]",),
        result="out{n}",
    ),
    Kind.AGGREGATEBY: Barrier(
        before=("g{n} = {{}}",),
        each=("k{n}, p{n} = {r}", "g{n}[k{n}] = {f2}(g{n}[k{n}] if k{n} in g{n} else {zero}(), p{n})"),
        after=("out{n} = pairs(g{n})",),
        result="out{n}",
    ),
    Kind.COUNT: BARRIERS[Kind.COUNT]._replace(each=("c{n} += {r}",)),
    Kind.COUNTBY: BARRIERS[Kind.COUNTBY]._replace(
        each=("k{n}, p{n} = {r}", "g{n}[k{n}] = get{n}(k{n}, 0) + p{n}"),
    ),
    Kind.AVG: BARRIERS[Kind.AVG]._replace(each=("s{n} = s{n} + {r}[0]", "c{n} += {r}[1]")),
    # Sorted runs, one behind the other: the sort finds them and merges them, and equal records keep their order.
    Kind.SORT: BARRIERS[Kind.SORT],
}
"""A step's second half: from what `PARTIAL` gave, one shard's behind the other's, to the step's result."""

CONCURRENT: Mapping[Kind, Barrier] = {
    Kind.MAP: Barrier(before=_LIST, each=("push{n}({r})",), after=(_TOGETHER,), result="done{n}"),
    Kind.FLATMAP: Barrier(
        before=_LIST, each=("push{n}({r})",), after=(_TOGETHER, "out{n} = flattened(done{n})"), result="out{n}"
    ),
    Kind.FILTER: Barrier(
        before=_LIST, each=("push{n}({r})",), after=(_TOGETHER, "out{n} = kept(l{n}, done{n})"), result="out{n}"
    ),
    Kind.FOREACH: Barrier(before=_LIST, each=("push{n}({r})",), after=(_TOGETHER,), result="l{n}"),
}
"""The steps with an `async def`: they take every record so as to run all of them at the same time."""

GATHER = Barrier(before=_LIST, each=("push{n}({r})",), after=(), result="l{n}")
"""No step: it only ends a loop that has become too deep for Python."""
