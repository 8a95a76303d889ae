"""The steps that take every record before they give the first, as RedisGears 1.2 has them.

They differ from those in `barriers`:

* no records: no result, of `count` and `aggregate` too;
* the functions of `aggregateby` are given the key: `seqOp(key, accumulator, record)`, `combOp(key, accumulator, part)`;
* those of `aggregate` and `aggregateby` may return what is awaited (a coroutine, a future);
* what raises behind the loop costs its group alone, or where there are no groups the step's results.

`{awaited}` and `{wait}` are the types that are awaited and what awaits; an accumulator changes only when that is done.
`{past}` is what tells the progress of a loop, or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from geartrain.builder.steps import Kind
from geartrain.pipeline.barriers import BARRIERS, JOINING, PARTIAL, Barrier

_SETTLED = "if type(v{n}) in awaited: v{n} = context.wait(v{n})"
_START = "(g{n}[k{n}] if k{n} in g{n} else {zero}())"
_OUT = "out{n} = []"
_EACH_GROUP = "for k{n}, v{n} in {past}(g{n}.items()):"
_FAILED = " except (Exception, GeneratorExit) as error: failed(error)"
_GIVE = "  out{n}.append({{'key': k{n}, 'value': v{n}}})"
_ITEMS = ("out{n} = list(g{n}.items())",)
_IF_SOME = ("out{n} = [c{n}] if c{n} else []",)

_FOLD = ("v{n} = {f0}(a{n}, {r})", _SETTLED, "a{n} = v{n}", "some{n} = True")
_FOLD_BY = ("k{n} = {f0}({r})", f"v{{n}} = {{f1}}(k{{n}}, {_START}, {{r}})", _SETTLED, "g{n}[k{n}] = v{n}")

OLD_BARRIERS: Mapping[Kind, Barrier] = {
    **BARRIERS,
    Kind.BATCHGROUPBY: BARRIERS[Kind.BATCHGROUPBY]._replace(
        after=(_OUT, _EACH_GROUP, " try:", "  v{n} = {f1}(k{n}, v{n})", _GIVE, _FAILED),
    ),
    Kind.AGGREGATE: BARRIERS[Kind.AGGREGATE]._replace(
        each=_FOLD,
        after=(
            "out{n} = []",
            "if some{n}:",
            " v{n} = {f1}({zero}(), a{n})",
            f" {_SETTLED}",
            " out{n}.append(v{n})",
        ),
    ),
    Kind.AGGREGATEBY: BARRIERS[Kind.AGGREGATEBY]._replace(
        each=_FOLD_BY,
        after=(_OUT, _EACH_GROUP, " try:", "  v{n} = {f2}(k{n}, {zero}(), v{n})", f"  {_SETTLED}", _GIVE, _FAILED),
    ),
    Kind.COUNT: BARRIERS[Kind.COUNT]._replace(after=_IF_SOME),
}

OLD_PARTIAL: Mapping[Kind, Barrier] = {
    **PARTIAL,
    Kind.AGGREGATE: PARTIAL[Kind.AGGREGATE]._replace(each=_FOLD),
    Kind.AGGREGATEBY: PARTIAL[Kind.AGGREGATEBY]._replace(each=_FOLD_BY),
    Kind.COUNT: OLD_BARRIERS[Kind.COUNT],
}

OLD_JOINING: Mapping[Kind, Barrier] = {
    **JOINING,
    Kind.AGGREGATE: JOINING[Kind.AGGREGATE]._replace(
        before=("a{n} = {zero}()", "some{n} = False"),
        each=("v{n} = {f1}(a{n}, {r})", _SETTLED, "a{n} = v{n}", "some{n} = True"),
        after=("out{n} = [a{n}] if some{n} else []",),
    ),
    Kind.AGGREGATEBY: JOINING[Kind.AGGREGATEBY]._replace(
        each=("k{n}, p{n} = {r}", f"v{{n}} = {{f2}}(k{{n}}, {_START}, p{{n}})", _SETTLED, "g{n}[k{n}] = v{n}"),
    ),
    Kind.COUNT: JOINING[Kind.COUNT]._replace(after=_IF_SOME),
}
