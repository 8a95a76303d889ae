"""Whether a pipeline can notice one field of its records: what nobody looks at need not be read.

The answer is no only where it is certain: every step is a filter or a foreach, and its function does nothing with the
record but take other fields of it by a literal name, `x["key"]`. A record that is passed on, kept, printed or asked
in any other way may show everything that it holds.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Sequence
from types import CodeType, FunctionType

from geartrain.builder.steps import Kind, Step

_PASS_ON = frozenset({Kind.FILTER, Kind.FOREACH})
_LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_BORROW"})
_SUBSCRIPTS = frozenset({"BINARY_SUBSCR"})
_SEE_ALL = frozenset({"locals", "vars", "dir", "eval", "exec", "_getframe", "currentframe", "stack", "breakpoint"})
"""Names by which a function may get at its variables without naming them."""


def may_notice(steps: Sequence[Step], field: str) -> bool:
    """Whether a step may look at that field of a record, as far as its code tells."""
    return any(step.kind not in _PASS_ON or any(_notices(item, field) for item in step.functions) for step in steps)


def only_read(steps: Sequence[Step]) -> bool:
    """Whether it is certain that no step changes a record or keeps it: each does no more than take fields of it."""
    return not any(step.kind not in _PASS_ON or any(_notices(item, None) for item in step.functions) for step in steps)


def _notices(function: object, field: str | None) -> bool:
    """Whether a function may look at that field; None: whether it may do more than take fields."""
    if not isinstance(function, FunctionType) or inspect.iscoroutinefunction(function):
        return True
    code = function.__code__
    takes_one = code.co_argcount == 1 and not code.co_kwonlyargcount
    if not takes_one or code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR):
        return True
    record = code.co_varnames[0]
    if record in code.co_cellvars or not _SEE_ALL.isdisjoint(code.co_names):
        return True
    return not _takes_only_others(code, record, field)


def _takes_only_others(code: CodeType, record: str, field: str | None) -> bool:
    """Whether each mention of the variable is `record["another field"]`; None: is `record["a field"]`."""
    instructions = [item for item in dis.get_instructions(code) if item.opname != "CACHE"]
    for load, literal, subscript in zip(instructions, instructions[1:], instructions[2:], strict=False):
        if _mentions(load, record) and not (load.opname in _LOADS and _is_other_field(literal, subscript, field)):
            return False
    # The last two begin no such three.
    return not any(_mentions(item, record) for item in instructions[-2:])


def _mentions(item: dis.Instruction, name: str) -> bool:
    """Whether an instruction names a variable; some name two."""
    return item.argval == name or (isinstance(item.argval, tuple) and name in item.argval)


def _is_other_field(load: dis.Instruction, subscript: dis.Instruction, field: str | None) -> bool:
    literal = load.opname == "LOAD_CONST" and isinstance(load.argval, str) and load.argval != field
    return literal and subscript.opname in _SUBSCRIPTS and not subscript.is_jump_target
