"""The arguments of `execute`."""

from __future__ import annotations

from typing import Any

from geartrain.errors import ArgumentError
from geartrain.wire import Argument, pack

_TYPES = frozenset({str, bytes, int, float})


def packed(command: str | bytes, args: tuple[Argument, ...]) -> bytes:
    """The command in the server's protocol.

    Raises:
        ArgumentError: an argument of a type that a command does not take.
    """
    for arg in args:
        if type(arg) not in _TYPES:
            args = tuple(accepted(command, number, item) for number, item in enumerate(args, 1))
            break
    return pack((command, *args))


def accepted(command: str | bytes, number: int, arg: Any) -> Argument:
    """An argument of a less usual type, as one of exactly str, bytes, int or float.

    Raises:
        ArgumentError: a command does not take it; the error names the command and the argument's number.
    """
    if isinstance(arg, bytearray | memoryview):
        return bytes(arg)
    if isinstance(arg, str | bytes | int | float) and not isinstance(arg, bool):
        kind = next(kind for kind in _TYPES if isinstance(arg, kind))
        exact: Argument = kind(arg)
        return exact
    raise ArgumentError(
        f"execute({command!r}): argument {number} is {arg!r} ({type(arg).__name__}); a command takes str, bytes, int or"
        " float: convert it first, for example with str()"
    )
