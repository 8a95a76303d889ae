"""What a function's bytecode calls: each instruction, with what is known of the stack before it.

Only what can be known without running anything is followed: literals, the function's globals, builtins and closure,
and attributes of modules. A value that any other instruction made, or that depends on the way that led to it, is
unknown. An instruction that is not in the tables makes the whole stack unknown. So new instructions make the answers
poorer, not wrong; the tables hold those of Python 3.11 to 3.13 (a name means the same in all of them).
"""

from __future__ import annotations

import builtins
import dis
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any, TypeAlias

from geartrain.pipeline.stackeffects import effect

CODE_UNIT = 2
"""Bytes of an instruction without its caches."""

# What a call finds on the stack: since 3.13 the callable and above it the place for `self`; before, the other way.
_CALLABLE_FIRST = sys.version_info >= (3, 13)
_ATTRIBUTES_HAVE_FLAG = sys.version_info >= (3, 12)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A value that is known; two are equal where it is the same object."""

    value: object

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Known) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


@dataclass(frozen=True, slots=True)
class Mark:
    """What is known of a value of which only that is known."""

    name: str


UNKNOWN = Mark("unknown")
NULL = Mark("the empty place for self")
LITERAL = Mark("a literal of the code")
LITERAL_METHOD = Mark("a method without effects, of a literal")

Token: TypeAlias = Known | Mark
Stack: TypeAlias = tuple[Token, ...]
"""The last is the top; what lies below the first is unknown."""

CALLS = frozenset({"CALL", "CALL_KW", "CALL_FUNCTION_EX"})
ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})

_JUMPS_AWAY = frozenset({"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"})
_ENDS = frozenset({"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE"})
_QUIET_METHODS = frozenset(
    {"encode", "endswith", "format", "lower", "replace", "split", "startswith", "strip", "upper", "zfill"}
)


class Body:
    """One function's instructions, by their offset."""

    def __init__(self, function: FunctionType) -> None:
        code = function.__code__
        listed = list(dis.get_instructions(code))
        self.instructions = {instruction.offset: instruction for instruction in listed}
        self._function = function
        self._next = dict(
            zip(self.instructions, [*(later.offset for later in listed[1:]), len(code.co_code)], strict=True)
        )
        entries = dis.Bytecode(code).exception_entries  # type: ignore[attr-defined]  # typeshed does not have it
        self._guarded = [(entry.start, entry.end) for entry in entries]
        self._stacks = self._follow(listed[0].offset)

    def units(self, offset: int) -> range:
        """What `f_lasti` may show while this instruction runs: its offset, or one of its caches'.

        The latter where CPython enters a Python function without a call in C (3.11 and 3.12).
        """
        return range(offset, self._next[offset], CODE_UNIT)

    def is_guarded(self, offset: int) -> bool:
        """Whether the function itself notices an exception at this place (`try`, `with`)."""
        return any(start <= offset < end for start, end in self._guarded)

    def following(self, offset: int) -> Iterator[int]:
        """The offsets that may come next, exceptions apart."""
        for target, _ in self._ways(offset):
            yield target

    def top(self, offset: int, depth: int = 1) -> Token:
        """A value on the stack before this instruction; 1 is the top. Unknown where nothing leads here."""
        return _peek(self._stacks.get(offset, ()), depth)

    def callee(self, offset: int) -> Token:
        """What a call instruction calls."""
        instruction = self.instructions[offset]
        arg = instruction.arg or 0
        above = {"CALL": arg, "CALL_KW": arg + 1}.get(instruction.opname, 1 + (arg & 1))
        lower, upper = self.top(offset, above + 2), self.top(offset, above + 1)
        return upper if lower == NULL and not _CALLABLE_FIRST else lower

    def attribute(self, offset: int) -> Token:
        """What an attribute instruction loads."""
        return _attribute(self.top(offset), self.instructions[offset].argval)

    def _ways(self, offset: int) -> Iterator[tuple[int, bool]]:
        """Where an instruction may lead, and whether it jumps there."""
        instruction = self.instructions[offset]
        if instruction.opname in _ENDS:
            return
        if "JUMP" in instruction.opname or instruction.opname in {"FOR_ITER", "SEND"}:
            yield instruction.argval, True
        if instruction.opname not in _JUMPS_AWAY and self._next[offset] in self.instructions:
            yield self._next[offset], False

    def _follow(self, start: int) -> dict[int, Stack]:
        """The stacks, carried on until nothing changes; where ways meet, what they agree on remains."""
        stacks: dict[int, Stack] = {start: ()}
        waiting = [start]
        while waiting:
            offset = waiting.pop()
            for target, jumps in self._ways(offset):
                after = self._after(self.instructions[offset], stacks[offset], jumps=jumps)
                agreed = _agreed(stacks[target], after) if target in stacks else after
                if stacks.get(target) != agreed:
                    stacks[target] = agreed
                    waiting.append(target)
        return stacks

    def _after(self, instruction: dis.Instruction, stack: Stack, *, jumps: bool) -> Stack:
        """The stack behind an instruction."""
        name, arg = instruction.opname, instruction.arg or 0
        if name in ATTRIBUTES:
            paired = name == "LOAD_METHOD" or (_ATTRIBUTES_HAVE_FLAG and bool(arg & 1))
            return _pop(stack, 1) + _pushed(_attribute(_peek(stack, 1), instruction.argval), paired=paired)
        if name == "COPY":
            return (*stack, _peek(stack, arg))
        if name == "SWAP":
            return _swapped(stack, arg)
        loaded = self._loaded(instruction)
        if loaded is not None:
            return stack + loaded
        counts = effect(name, arg, jumps=jumps)
        return () if counts is None else _pop(stack, counts[0]) + (UNKNOWN,) * counts[1]

    def _loaded(self, instruction: dis.Instruction) -> Stack | None:
        """What an instruction that only loads puts on the stack; None: it is no such one."""
        match instruction.opname:
            case "PUSH_NULL":
                return (NULL,)
            case "LOAD_CONST":
                return (LITERAL,)
            case "LOAD_GLOBAL":
                found = _named(self._function, instruction.argval)
                return _pushed(found, paired=bool((instruction.arg or 0) & 1))
            case "LOAD_DEREF":
                return (_enclosed(self._function, instruction.argval),)
        return None


def _pushed(found: Token, *, paired: bool) -> Stack:
    """What a load leaves; `paired`, ready for a call: beside the place for `self`."""
    if not paired:
        return (found,)
    if found == LITERAL_METHOD:
        return (found, UNKNOWN)
    if found == UNKNOWN:  # perhaps a method, and then its object is in the other place
        return (UNKNOWN, UNKNOWN)
    return (found, NULL) if _CALLABLE_FIRST else (NULL, found)


def _named(function: FunctionType, name: str) -> Token:
    """A global name, as the function would find it now."""
    for names in (function.__globals__, builtins_of(function)):
        if name in names:
            return Known(names[name])
    return UNKNOWN


def builtins_of(function: FunctionType) -> Mapping[str, Any]:
    """The names that a function finds when they are no globals."""
    found = getattr(function, "__builtins__", None)
    return found if isinstance(found, dict) else vars(builtins)


def _enclosed(function: FunctionType, name: str) -> Token:
    """A variable of the enclosing function; unknown where it is the function's own, or has no value yet."""
    free = function.__code__.co_freevars
    if name not in free or function.__closure__ is None:
        return UNKNOWN
    try:
        return Known(function.__closure__[free.index(name)].cell_contents)
    except ValueError:
        return UNKNOWN


def _attribute(owner: Token, name: str) -> Token:
    """What a module has under a name, without asking it (its `__getattr__` is the user's code)."""
    if owner == LITERAL:
        return LITERAL_METHOD if name in _QUIET_METHODS else UNKNOWN
    if isinstance(owner, Known) and isinstance(owner.value, ModuleType) and name in vars(owner.value):
        return Known(vars(owner.value)[name])
    return UNKNOWN


def _peek(stack: Stack, depth: int) -> Token:
    return stack[-depth] if depth <= len(stack) else UNKNOWN


def _pop(stack: Stack, count: int) -> Stack:
    return stack[: max(0, len(stack) - count)]


def _swapped(stack: Stack, depth: int) -> Stack:
    if depth > len(stack):
        return (*_pop(stack, 1), UNKNOWN)
    swapped = list(stack)
    swapped[-1], swapped[-depth] = swapped[-depth], swapped[-1]
    return tuple(swapped)


def _agreed(one: Stack, other: Stack) -> Stack:
    """What two stacks have in common, laid side by side at their tops."""
    depth = min(len(one), len(other))
    pairs = zip(one[len(one) - depth :], other[len(other) - depth :], strict=True)
    return tuple(mine if mine == theirs else UNKNOWN for mine, theirs in pairs)
