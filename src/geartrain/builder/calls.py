"""Calls with arguments that do not fit: an ArgumentError that says what fits, instead of Python's bare TypeError."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from geartrain.builder.host import current_dialect
from geartrain.config import Dialect
from geartrain.errors import ArgumentError

P = ParamSpec("P")
R = TypeVar("R")


def checked(method: Callable[P, R]) -> Callable[P, R]:
    """Make a method refuse arguments that it does not have with an ArgumentError; its signature stays as it is."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        bind(signature, method.__name__, args, kwargs)
        return method(*args, **kwargs)

    return call


def completed(*names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Like `checked`, and the session's dialect decides about two things.

    Arguments that the caller left out get what `self._defaults(verb, given)` says, where it says one: so the signature
    shows the specification's defaults, while the session may have others. And in the dialect redisgears-1.2 `names`
    are what arguments by position are called, in RedisGears' order instead of the signature's.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(method)
        verb = method.__name__

        @functools.wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            builder: Any = args[0]
            given: tuple[Any, ...] = args
            named: dict[str, Any] = dict(kwargs)
            if current_dialect() is Dialect.REDISGEARS_1_2:
                positions = builder._positions(args[1:], names)
                given, named = args[:1], _named(verb, positions, args[1:], named)
                named = _renamed(verb, builder._old_names.get(verb, {}), named)
            bound = bind(signature, verb, given, named)
            for name, value in builder._defaults(verb, bound.arguments).items():
                if name in signature.parameters:
                    bound.arguments.setdefault(name, value)
            return method(*bound.args, **bound.kwargs)

        return call

    return decorate


def _named(verb: str, names: Sequence[str], values: Sequence[Any], named: dict[str, Any]) -> dict[str, Any]:
    """Arguments by position, under their names."""
    if len(values) > len(names):
        raise ArgumentError(
            f"{verb}(): too many positional arguments; by position it takes {', '.join(names)} (in the dialect"
            f" {Dialect.REDISGEARS_1_2}), the others by keyword"
        )
    found = dict(zip(names, values, strict=False))
    for name in found.keys() & named.keys():
        raise ArgumentError(f"{verb}({name}={named[name]!r:.80}): {name} was given by position, too")
    return found | named


def _renamed(verb: str, names: Mapping[str, str | None], given: dict[str, Any]) -> dict[str, Any]:
    """Arguments by the names of the signature; those that `names` has no name for mean nothing."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        usual = names.get(name, name)
        if usual is None or (value is None and usual != name):
            continue
        if usual in found:
            raise ArgumentError(f"{verb}({name}={value!r:.80}): {name} and {usual} are the same argument, give one")
        found[usual] = value
    return found


def bind(
    signature: inspect.Signature, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> inspect.BoundArguments:
    """Fit arguments to a signature whose first parameter is `self` or `cls`."""
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        shown = name if name != "__new__" else "GearsBuilder"
        raise ArgumentError(_complaint(list(signature.parameters.values())[1:], shown, kwargs, error)) from None


def _complaint(parameters: list[inspect.Parameter], name: str, kwargs: Mapping[str, Any], error: TypeError) -> str:
    names = [parameter.name for parameter in parameters]
    takes = f"it takes {', '.join(names)}" if names else "it takes none"
    for unknown in kwargs:
        if unknown not in names:
            close = closest(unknown, names)
            hint = f"; did you mean {close!r}?" if close else ";"
            return f"{name}({unknown}={kwargs[unknown]!r:.80}): there is no argument {unknown!r}{hint} {takes}"
    return f"{name}(): {error}; {takes}"


def closest(word: str, known: list[str]) -> str | None:
    """The known name that is most like the word, whatever its case."""
    by_lower = {name.lower(): name for name in reversed(known)}
    found = difflib.get_close_matches(word.lower().replace("_", ""), by_lower, n=1)
    return by_lower[found[0]] if found else None
