"""Records that a function yields: PythonReader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from geartrain.errors import ArgumentError


def python_records(source: Callable[[], Any]) -> Iterator[Any]:
    """What `source()` yields, or the items of the list (or other iterable) that it returns.

    Raises:
        ArgumentError: it returns something else.
    """
    made = source()
    if not isinstance(made, Iterable):
        name = getattr(source, "__qualname__", repr(source))
        raise ArgumentError(
            f"run: the function of the PythonReader, {name}, returned {made!r:.80}; it must yield records or"
            " return a list"
        )
    return iter(made)
