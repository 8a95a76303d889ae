"""Whether steps may leave something behind in the process that runs them, a list that they fill, say.

Such steps are not given to workers where the script did not have to expect it: on one server. The answer is no only
where it is certain: the functions, and those of the same script that they call, assign no variable outside of
themselves, and reach no object but modules, classes, functions, and data that cannot change.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator, Sequence
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType

from geartrain.builder.functions import itself
from geartrain.builder.steps import Step

_HARMLESS = (int, float, complex, str, bytes, range, type(None), type(...), type, ModuleType)
_OURS = "geartrain"
"""The package whose objects a script may reach as it likes: `execute`, `log`."""

_ASSIGNMENTS = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})


def may_leave_something(steps: Sequence[Step]) -> bool:
    """Whether what the functions of steps do can be noticed in their process afterwards."""
    return any(_may(function) for step in steps for function in step.functions)


def _may(step_function: object) -> bool:
    waiting = [step_function]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop()
        if id(found) in seen or _is_harmless(found):
            continue
        seen.add(id(found))
        if not isinstance(found, FunctionType):
            return True
        if isinstance(step_function, FunctionType) and found.__globals__ is not step_function.__globals__:
            # Of a library, which looks after what it keeps.
            continue
        if any(_assigns(code) for code in _codes(found.__code__)):
            return True
        waiting += _reached(found)
    return False


def _is_harmless(value: object) -> bool:
    if isinstance(value, BuiltinFunctionType):
        # Not a method of some object, such as `found.append`.
        return value.__self__ is None or isinstance(value.__self__, ModuleType)
    if isinstance(value, tuple | frozenset):
        return all(map(_is_harmless, value))
    ours = type(value).__module__.partition(".")[0] == _OURS
    return ours or isinstance(value, _HARMLESS) or value is itself


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function, and of those that it makes."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _assigns(code: CodeType) -> bool:
    """Whether it assigns a global variable, or one of a function around it (not told from one's own inner function)."""
    return any(
        item.opname in _ASSIGNMENTS or (item.opname == "STORE_DEREF" and item.argval in code.co_freevars)
        for item in dis.get_instructions(code)
    )


def _reached(function: FunctionType) -> Iterator[object]:
    """What it finds under the names that it uses, in its closure, and in its defaults."""
    for code in _codes(function.__code__):
        for name in code.co_names:
            if name in function.__globals__:
                yield function.__globals__[name]
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
