"""Which steps may reach a target: those keep `context.at`, so that what they put off can be told apart later."""

from __future__ import annotations

import dis
from collections.abc import Collection, Iterator, Sequence
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType

from geartrain.builder.functions import itself
from geartrain.builder.steps import Step
from geartrain.pipeline.bytecode import builtins_of

_DATA = (int, float, complex, str, bytes, bytearray, tuple, list, dict, set, frozenset, range, type(None), type(...))
_MOST_FUNCTIONS = 100
_ANYTHING = object()  # stands for what an import inside of a function brings


def is_one_of(value: object, targets: Collection[object]) -> bool:
    """Whether it is one of these objects itself; equality is not asked, as it may be the user's code."""
    return any(value is target for target in targets)


def marked_steps(steps: Sequence[Step], targets: Collection[object]) -> frozenset[int]:
    """The numbers of the steps that mention one of `targets` or may reach one; 1 is the first step."""
    if not targets:
        return frozenset()
    return frozenset(
        number
        for number, step in enumerate(steps, 1)
        if any(_may_reach(function, targets) for function in step.functions)
    )


def _may_reach(function: object, targets: Collection[object]) -> bool:
    """Whether a function mentions a target, or something that is not known not to lead to one.

    Followed are functions and modules, by the names that code mentions. An object with methods of its own may lead
    anywhere: to keep `context.at` once too often costs 40 ns per record, to miss it names the wrong step.
    """
    waiting: list[object] = [function]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop()
        if is_one_of(found, targets):
            return True
        if id(found) in seen or _leads_nowhere(found):
            continue
        seen.add(id(found))
        if not isinstance(found, FunctionType) or len(seen) > _MOST_FUNCTIONS:
            return True
        waiting += [*_mentioned(found, found.__code__), *_held(found)]
    return False


def _leads_nowhere(value: object) -> bool:
    """Plain data, and what is written in C."""
    if isinstance(value, type):
        return value.__module__ == "builtins" or value in _DATA
    return type(value) in _DATA or type(value) is bool or isinstance(value, BuiltinFunctionType) or value is itself


def _mentioned(function: FunctionType, code: CodeType) -> Iterator[object]:
    """The objects that a function's code, and the code of functions in it, finds under the names it uses."""
    names, builtin_names = function.__globals__, builtins_of(function)
    for name in code.co_names:
        yield from _within(names.get(name, builtin_names.get(name)), code.co_names)
    if any(instruction.opname == "IMPORT_NAME" for instruction in dis.get_instructions(code)):
        yield _ANYTHING
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _mentioned(function, constant)


def _held(function: FunctionType) -> Iterator[object]:
    """The objects that a function holds: its closure's, and its defaults."""
    for cell in function.__closure__ or ():
        try:
            yield from _within(cell.cell_contents, function.__code__.co_names)
        except ValueError:  # not assigned yet
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()


def _within(value: object, names: Collection[str], depth: int = 3) -> Iterator[object]:
    """The value, or where it is a module, what that has under any of the names; also in modules of modules."""
    if not isinstance(value, ModuleType) or depth == 0:
        yield value
        return
    for name in names:
        if name in vars(value):
            yield from _within(vars(value)[name], names, depth - 1)
