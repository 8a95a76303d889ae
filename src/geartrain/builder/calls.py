"""Calls with arguments that do not fit: an ArgumentError that says what fits, instead of Python's bare TypeError."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

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


def completed(method: Callable[P, R]) -> Callable[P, R]:
    """Like `checked`; arguments that the caller left out get what `self._defaults(given)` says, where it says one.

    So the signature shows the specification's defaults, while the session may have others.
    """
    signature = inspect.signature(method)

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = bind(signature, method.__name__, args, kwargs)
        given = bound.arguments
        builder: Any = args[0]
        for name, value in builder._defaults(given).items():
            given.setdefault(name, value)
        return method(*bound.args, **bound.kwargs)

    return call


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
