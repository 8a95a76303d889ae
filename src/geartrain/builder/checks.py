"""Checks of single arguments: each returns the value, in the form that is kept, or raises an ArgumentError.

Every message names the call, the argument, the value and what is allowed.
"""

from __future__ import annotations

import inspect
import math
import re
import reprlib
from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from geartrain.builder.functions import is_async
from geartrain.errors import ArgumentError

E = TypeVar("E", bound=StrEnum)
F = TypeVar("F", bound=Callable[..., Any])

_ENTRY_ID = re.compile(r"(\d{1,20})(?:-(\d{1,20}))?", re.ASCII)
_LARGEST_ID_PART = 2**64 - 1
_NAME = re.compile(r"[^\s{}]{1,200}")


class RunMode(StrEnum):
    """Where `run()` executes."""

    ASYNC = "async"
    ASYNC_LOCAL = "async_local"


def wrong(call: str, argument: str, value: object, allowed: str) -> ArgumentError:
    """The error for one argument's value."""
    return ArgumentError(f"{call}({argument}={reprlib.repr(value)}): {argument} must be {allowed}")


def function(call: str, argument: str, value: F, *, may_await: bool = False) -> F:
    """A callable; an `async def` only where the step can run it concurrently."""
    if not callable(value):
        raise wrong(call, argument, value, "a function")
    if inspect.isasyncgenfunction(value):
        raise wrong(call, argument, value, "a function that returns: this one is an async generator")
    if is_async(value) and not may_await:
        raise wrong(
            call, argument, value, "a plain function: only map, flatmap, filter and foreach take an `async def`"
        )
    return value


def whole(call: str, argument: str, value: int, *, least: int, most: int | None = None, unit: str = "") -> int:
    """An int that is at least `least` and, where that is given, at most `most`."""
    fits = isinstance(value, int) and not isinstance(value, bool) and least <= value
    if not fits or (most is not None and value > most):
        span = f"{least} or more" if most is None else f"{least} to {most}"
        raise wrong(call, argument, value, f"a whole number{unit}, {span}")
    return value


def seconds(call: str, argument: str, value: float) -> float:
    """A finite number of seconds, 0 or more."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not (0 <= value < math.inf):
        raise wrong(call, argument, value, "a number of seconds, 0 or more")
    return value


def flag(call: str, argument: str, value: bool) -> bool:
    """True or False, nothing that is merely truthy."""
    if not isinstance(value, bool):
        raise wrong(call, argument, value, "True or False")
    return value


def one_of(call: str, argument: str, value: str, allowed: type[E]) -> E:
    """A member of an enumeration, or its text."""
    try:
        return allowed(value)
    except ValueError:
        names = ", ".join(repr(member.value) for member in allowed)
        raise wrong(call, argument, value, f"one of {names}") from None


def pattern(call: str, argument: str, value: str) -> str:
    """A glob of key names."""
    if not isinstance(value, str) or not value:
        raise wrong(call, argument, value, "a pattern of key names, a str such as 'person:*'")
    return value


def text(call: str, argument: str, value: str, what: str) -> str:
    """A str that is not empty."""
    if not isinstance(value, str) or not value:
        raise wrong(call, argument, value, f"{what}, a str that is not empty")
    return value


def entry_id(call: str, argument: str, value: str, *, newest: bool) -> str:
    """A stream entry's id (`1700000000000-0`, or only its first part); with `newest` also `$`."""
    if isinstance(value, str):
        found = _ENTRY_ID.fullmatch(value)
        if (newest and value == "$") or (found and all(int(part or 0) <= _LARGEST_ID_PART for part in found.groups())):
            return value
    also = ", or '$' for what is new" if newest else ""
    raise wrong(call, argument, value, f"the id of a stream entry, a str such as '1700000000000-0'{also}")


def words(call: str, argument: str, value: list[str] | tuple[str, ...] | None) -> tuple[str, ...] | None:
    """A white list, in lower case; None: everything."""
    if value is None:
        return None
    if isinstance(value, str):
        raise wrong(call, argument, value, f"a list: pass [{value!r}]")
    if not isinstance(value, (list, tuple)) or not all(isinstance(word, str) for word in value):
        raise wrong(call, argument, value, "a list of str, or None for all")
    if not value or "" in value:
        raise wrong(call, argument, value, "a list of at least one word, or None for all")
    return tuple(dict.fromkeys(word.lower() for word in value))


def registration_name(call: str, argument: str, value: str | None) -> str | None:
    """What a registration is called; braces would move its keys to another slot of a cluster."""
    if value is not None and (not isinstance(value, str) or not _NAME.fullmatch(value)):
        raise wrong(call, argument, value, "a str of 1 to 200 characters without spaces and braces, or None")
    return value


def callback(call: str, usual: Callable[[], Any] | None, alias: Callable[[], Any] | None) -> Callable[[], Any] | None:
    """The one of `onRegistered` and `OnRegistered` that was given, or None."""
    if usual is not None and alias is not None:
        raise wrong(call, "OnRegistered", alias, "left out where onRegistered is given: they are the same argument")
    chosen, name = (usual, "onRegistered") if usual is not None else (alias, "OnRegistered")
    return None if chosen is None else function(call, name, chosen)
