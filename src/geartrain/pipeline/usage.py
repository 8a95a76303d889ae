"""Whether a pipeline can notice one field of its records: what nobody looks at need not be read.

The answer is no only where it is certain: every function that gets the record does nothing with it but take other
fields of it by a literal name, `x["key"]`. A record that is passed on, kept, printed or asked in any other way may show
everything that it holds; so do results that are records.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Iterable, Mapping, Sequence
from types import CodeType, FunctionType

from geartrain.builder.steps import Kind, Step

_PASS_ON = frozenset({Kind.FILTER, Kind.FOREACH})
_PASS_ALONG = _PASS_ON | {Kind.LIMIT, Kind.COLLECT, Kind.REPARTITION}

_MOST_IN_LOOP = 50
"""Steps that are certainly one loop, where none of them takes all records."""

_NO_FIELD = ""
"""Noticed by functions that may do more than take fields."""

_TAKERS: Mapping[Kind, tuple[int | None, ...]] = {
    Kind.MAP: (0,),
    Kind.FLATMAP: (0,),
    Kind.FILTER: (0,),
    Kind.FOREACH: (0,),
    Kind.REPARTITION: (0,),
    Kind.LIMIT: (),
    Kind.COLLECT: (),
    Kind.COUNT: (),
    Kind.COUNTBY: (0,),
    Kind.AVG: (0,),
    Kind.ACCUMULATE: (1,),
    Kind.AGGREGATE: (1, None),
    Kind.AGGREGATEBY: (0, 1, None),
    Kind.GROUPBY: (0, 2),
    Kind.LOCALGROUPBY: (0, 2),
}
"""Which argument of each function of a step is the record; None: none is. Other steps compare or keep whole records."""

_LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_BORROW"})
_LOADS_LAST = frozenset({"LOAD_FAST_LOAD_FAST", "STORE_FAST_LOAD_FAST"})
"""Those that name two variables, and leave the second one's value on top."""

_SUBSCRIPTS = frozenset({"BINARY_SUBSCR"})
_SEE_ALL = frozenset({"locals", "vars", "dir", "eval", "exec", "_getframe", "currentframe", "stack", "breakpoint"})
"""Names by which a function may get at its variables without naming them."""


def may_notice(steps: Sequence[Step], field: str) -> bool:
    """Whether a step may look at that field of a record, as far as its code tells."""
    return any(step.kind not in _PASS_ON or any(_notices(item, field) for item in step.functions) for step in steps)


def noticed(steps: Sequence[Step], fields: Iterable[str], shown: Iterable[str] = ()) -> frozenset[str]:
    """Those of the fields of a record that the steps of a `run()`, or who gets its results, may look at.

    A record goes through filter, foreach and the like to the first step that makes something else of it: of `count`
    nobody sees more than how many there were, of `map(f)` what `f` returns.

    Args:
        steps: all of them, also those behind a cut.
        fields: of the records.
        shown: fields by which an error names a record: noticed wherever a function gets records.
    """
    wanted = frozenset(fields)
    found: set[str] = set()
    for step in steps:
        takers = _TAKERS.get(step.kind)
        if takers is None:
            return wanted
        if takers:
            found.update(shown)
        found |= {
            field
            for function, position in zip(step.functions, takers, strict=False)
            for field in wanted
            if position is not None and _notices(function, field, position)
        }
        if step.kind not in _PASS_ALONG:
            return frozenset(found)
    return wanted


def borrows(steps: Sequence[Step]) -> bool:
    """Whether it is certain that no step of a `run()` keeps a record or changes it, so that all can be the same dict.

    Nothing but taking fields is done with it, and it has gone through all of the first loop before the next one comes.
    """
    return len(steps) < _MOST_IN_LOOP and not noticed(steps, [_NO_FIELD])


def only_read(steps: Sequence[Step]) -> bool:
    """Whether it is certain that no step changes a record or keeps it: each does no more than take fields of it."""
    return not any(step.kind not in _PASS_ON or any(_notices(item, None) for item in step.functions) for step in steps)


def _notices(function: object, field: str | None, position: int = 0) -> bool:
    """Whether a function may look at that field of its argument at `position`, which is the last one.

    None for a field: whether it may do more than take fields.
    """
    if not isinstance(function, FunctionType) or inspect.iscoroutinefunction(function):
        return True
    code = function.__code__
    takes_all = code.co_argcount == position + 1 and not code.co_kwonlyargcount
    if not takes_all or code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR):
        return True
    record = code.co_varnames[position]
    if record in code.co_cellvars or not _SEE_ALL.isdisjoint(code.co_names):
        return True
    return not _takes_only_others(code, record, field)


def _takes_only_others(code: CodeType, record: str, field: str | None) -> bool:
    """Whether each mention of the variable is `record["another field"]`; None: is `record["a field"]`."""
    instructions = [item for item in dis.get_instructions(code) if item.opname != "CACHE"]
    for load, literal, subscript in zip(instructions, instructions[1:], instructions[2:], strict=False):
        if _mentions(load, record) and not (_loads(load, record) and _is_other_field(literal, subscript, field)):
            return False
    # The last two begin no such three.
    return not any(_mentions(item, record) for item in instructions[-2:])


def _mentions(item: dis.Instruction, name: str) -> bool:
    """Whether an instruction names a variable; some name two."""
    return item.argval == name or (isinstance(item.argval, tuple) and name in item.argval)


def _loads(item: dis.Instruction, name: str) -> bool:
    """Whether an instruction that mentions a variable only puts its value on top, once."""
    return item.opname in _LOADS or (item.opname in _LOADS_LAST and item.argval[0] != name)


def _is_other_field(load: dis.Instruction, subscript: dis.Instruction, field: str | None) -> bool:
    literal = load.opname == "LOAD_CONST" and isinstance(load.argval, str) and load.argval != field
    return literal and subscript.opname in _SUBSCRIPTS and not subscript.is_jump_target
