"""Calls whose reply nobody can notice: `execute` may send these later, together, instead of waiting for each.

A call is one where all of this holds:

* it calls a target, by a name or a module's attribute that is known without running anything;
* it stands in a plain function of a map, flatmap, filter or foreach step, and its result is dropped: as a statement, or
  as the returned value of a foreach;
* no `try` or `with` of that function is around it, or around what comes after it;
* on every way from there to the function's end there are only quiet instructions: nothing is called but a few pure
  builtins, nothing is stored but in local variables, and no loop leads back;
* every later step of the pipeline is quiet in the same way.

So at most the last effect of a record's processing is put off, and whatever is not understood is not put off.

Steps that do nothing else but such calls are *closed*: what others have done meanwhile they cannot notice.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from types import CodeType, FunctionType
from typing import Any

from geartrain.builder.functions import itself
from geartrain.builder.steps import Kind, Step
from geartrain.pipeline.bytecode import ATTRIBUTES, CALLS, LITERAL, LITERAL_METHOD, UNKNOWN, Body, Known
from geartrain.pipeline.mentions import is_one_of

CallSites = frozenset[tuple[CodeType, int]]
"""Calls by the caller's code and what `sys._getframe(1).f_lasti` may show in the callee during that call."""

_RECORD_KINDS = frozenset({Kind.MAP, Kind.FLATMAP, Kind.FILTER, Kind.FOREACH})
_ONE_TO_ONE = frozenset({Kind.MAP, Kind.FOREACH, Kind.REPARTITION, Kind.COLLECT})
_NOT_PLAIN = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_PURE = (str, int, float, bool, len, repr, abs, round, ord, chr, isinstance, itself)
_FIRST_IN_PLACE = 13  # BINARY_OP's operators from here on are `+=` and the like: they change a value that others hold

_QUIET_NAMES = """
    NOP RESUME CACHE PRECALL KW_NAMES EXTENDED_ARG COPY_FREE_VARS MAKE_CELL PUSH_NULL POP_TOP SWAP COPY
    LOAD_CONST LOAD_FAST LOAD_FAST_CHECK LOAD_FAST_LOAD_FAST LOAD_GLOBAL LOAD_DEREF
    STORE_FAST STORE_FAST_STORE_FAST STORE_FAST_LOAD_FAST
    BUILD_TUPLE BUILD_LIST BUILD_SET BUILD_MAP BUILD_CONST_KEY_MAP BUILD_STRING BUILD_SLICE
    BINARY_SUBSCR BINARY_SLICE COMPARE_OP IS_OP CONTAINS_OP UNARY_NEGATIVE UNARY_NOT UNARY_INVERT TO_BOOL
    FORMAT_VALUE FORMAT_SIMPLE FORMAT_WITH_SPEC CONVERT_VALUE
    JUMP_FORWARD JUMP_IF_TRUE_OR_POP JUMP_IF_FALSE_OR_POP POP_JUMP_IF_FALSE POP_JUMP_IF_TRUE POP_JUMP_IF_NONE
    POP_JUMP_IF_NOT_NONE POP_JUMP_FORWARD_IF_FALSE POP_JUMP_FORWARD_IF_TRUE POP_JUMP_FORWARD_IF_NONE
    POP_JUMP_FORWARD_IF_NOT_NONE RETURN_VALUE RETURN_CONST
"""
_QUIET = frozenset(_QUIET_NAMES.split())
_PASSED_OVER = frozenset({"NOP", "JUMP_FORWARD", "EXTENDED_ARG"})


def first_placed(steps: Sequence[Step]) -> int | None:
    """The number of the first step from which on each record gives just one result, or fails; None: there is none."""
    number = len(steps)
    while number and steps[number - 1].kind in _ONE_TO_ONE:
        number -= 1
    return number + 1 if number < len(steps) else None


def tail_calls(steps: Sequence[Step], targets: Collection[object], *, since: int | None = 1) -> CallSites:
    """The calls of `targets` in step functions whose reply nobody can notice, in steps of number `since` and later.

    A function's calls count only where it is the function of one step: elsewhere it could be called by something that
    looks at what it returns. `own_functions` makes that so.
    """
    owners = Counter(id(code) for step in steps for code in map(_code_of, step.functions) if code is not None)
    sites: set[tuple[CodeType, int]] = set()
    for step in reversed(steps[since - 1 :] if targets and since is not None else ()):
        for function in map(_plain, step.functions if step.kind in _RECORD_KINDS else ()):
            if function is not None and owners[id(function.__code__)] == 1:
                sites.update(_sites(function, targets, returns=step.kind is not Kind.FOREACH))
        if not all(map(_is_quiet, step.functions)):
            break
    return frozenset(sites)


def is_closed(steps: Sequence[Step], sites: CallSites) -> bool:
    """Whether all that steps do is to look at their records, and to make calls of `sites`: their tail calls.

    So nothing is noticed in them of what the records before have done, or will have.
    """
    return all(step.kind in _RECORD_KINDS for step in steps) and all(
        _is_quiet(function, sites) for step in steps for function in step.functions
    )


def own_functions(steps: Sequence[Step], targets: Collection[object], *, since: int | None = 1) -> tuple[Step, ...]:
    """The steps, with copies of the functions that have tail calls (`since` as for these).

    A copy has code of its own, so that the user's function keeps waiting for replies when it is called from elsewhere:
    from another function of the pipeline, say, that looks at what it returns.
    """
    copies = [Step(step.kind, tuple(_copy(function) for function in step.functions), step.options) for step in steps]
    found = {id(code) for code, _ in tail_calls(copies, targets, since=since)}
    return tuple(
        copy if any(id(_code_of(function)) in found for function in copy.functions) else step
        for copy, step in zip(copies, steps, strict=True)
    )


def _copy(function: Callable[..., Any]) -> Callable[..., Any]:
    """A plain function's equal; its code differs in a constant that nothing uses (code is compared by value)."""
    plain = _plain(function)
    if plain is None:
        return function
    code = plain.__code__
    copy = FunctionType(
        code.replace(co_consts=(*code.co_consts, "geartrain: a step's own copy")),
        plain.__globals__,
        plain.__name__,
        plain.__defaults__,
        plain.__closure__,
    )
    copy.__kwdefaults__ = plain.__kwdefaults__
    copy.__qualname__ = plain.__qualname__
    copy.__dict__.update(plain.__dict__)
    return copy


def _plain(function: object) -> FunctionType | None:
    """A `def` or lambda whose call runs it; None for anything else."""
    if isinstance(function, FunctionType) and not function.__code__.co_flags & _NOT_PLAIN:
        return function
    return None


def _code_of(function: object) -> CodeType | None:
    return function.__code__ if isinstance(function, FunctionType) else None


def _sites(function: FunctionType, targets: Collection[object], *, returns: bool) -> Iterator[tuple[CodeType, int]]:
    """One function's tail calls; `returns`: somebody looks at the value it returns."""
    body = Body(function)
    for offset, instruction in body.instructions.items():
        if instruction.opname not in CALLS or body.is_guarded(offset):
            continue
        callee = body.callee(offset)
        if not (isinstance(callee, Known) and is_one_of(callee.value, targets)):
            continue
        if _is_dropped(body, offset, returns=returns) and _is_quiet_after(body, offset):
            yield from ((function.__code__, unit) for unit in body.units(offset))


def _is_dropped(body: Body, offset: int, *, returns: bool) -> bool:
    """Whether a call's result goes nowhere."""
    (offset,) = body.following(offset)
    while body.instructions[offset].opname in _PASSED_OVER:
        (offset,) = body.following(offset)
    name = body.instructions[offset].opname
    return name == "POP_TOP" or (name == "RETURN_VALUE" and not returns)


def _is_quiet_after(body: Body, offset: int) -> bool:
    """Whether nothing with an effect can come after an instruction."""
    seen: set[int] = set()
    waiting = [*body.following(offset)]
    while waiting:
        offset = waiting.pop()
        if offset in seen:
            continue
        seen.add(offset)
        if body.is_guarded(offset) or not _is_quiet_instruction(body, offset):
            return False
        waiting += body.following(offset)
    return True


def _is_quiet(function: object, sites: CallSites = frozenset()) -> bool:
    """Whether a whole function has no effect, but by calls of `sites`."""
    if is_one_of(function, _PURE):
        return True
    plain = _plain(function)
    if plain is None:
        return False
    body = Body(plain)
    return all(
        (plain.__code__, offset) in sites or (not body.is_guarded(offset) and _is_quiet_instruction(body, offset))
        for offset in body.instructions
    )


def _is_quiet_instruction(body: Body, offset: int) -> bool:
    instruction = body.instructions[offset]
    name = instruction.opname
    if name in CALLS:
        callee = body.callee(offset)
        return callee == LITERAL_METHOD or (isinstance(callee, Known) and is_one_of(callee.value, _PURE))
    if name in ATTRIBUTES:  # a property or `__getattr__` is the user's code
        return body.attribute(offset) != UNKNOWN
    if name == "BINARY_OP":
        return (instruction.arg or 0) < _FIRST_IN_PLACE
    if name == "LIST_EXTEND":  # a literal list; otherwise it may run a generator
        return body.top(offset) == LITERAL
    return name in _QUIET
