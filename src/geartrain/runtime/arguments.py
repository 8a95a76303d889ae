"""The arguments of `execute`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geartrain.errors import ArgumentError
from geartrain.wire import Argument, pack

_TYPES = frozenset({str, bytes, int, float})

_WIDE = 1 << 63
"""Ints from here on, and below its negative, are made text here: Python refuses very large ones, and hiredis ends the
process then."""

_EXACT: dict[type, Callable[[Any], Argument]] = {
    str: str.__str__,
    bytes: lambda arg: b"".join((arg,)),
    int: int.__int__,
    float: float.__float__,
}
"""What an argument of a subclass is, whatever its own methods say: the text of an `enum` of str is its value."""


def packed(command: str | bytes, args: tuple[Argument, ...]) -> bytes:
    """The command in the server's protocol.

    Raises:
        ArgumentError: an argument of a type that a command does not take.
    """
    return pack(usual(command, args))


def usual(command: str | bytes, args: tuple[Argument, ...]) -> tuple[Argument, ...]:
    """The command and its arguments, ready to be packed.

    Raises:
        ArgumentError: as `accepted`.
    """
    words = (command, *args)
    for word in words:
        kind = type(word)
        if kind not in _TYPES or (kind is int and not -_WIDE <= word < _WIDE):  # type: ignore[operator]
            return tuple(accepted(command, number, item) for number, item in enumerate(words))
    return words


def accepted(command: str | bytes, number: int, arg: Any) -> Argument:
    """An argument as one of exactly str, bytes, float and int of 64 bits.

    Args:
        command: the command's name.
        number: of the argument, 1 is the first; 0: it is the command itself.
        arg: of any type.

    Raises:
        ArgumentError: a command does not take it; the error names the command and the argument's number.
    """
    if isinstance(arg, bytearray | memoryview):
        return bytes(arg)
    if isinstance(arg, str | bytes | int | float) and not isinstance(arg, bool):
        kind = next(kind for kind in _TYPES if isinstance(arg, kind))
        exact = _EXACT[kind](arg)
        return exact if not isinstance(exact, int) or -_WIDE <= exact < _WIDE else _digits(command, number, exact)
    raise ArgumentError(
        f"{_place(command, number)} is {arg!r} ({type(arg).__name__}); a command takes str, bytes, int or float:"
        " convert it first, for example with str()"
    )


def _digits(command: str | bytes, number: int, arg: int) -> str:
    try:
        return str(arg)
    except ValueError as error:
        raise ArgumentError(f"{_place(command, number)} is an int of {arg.bit_length()} bits: {error}") from None


def _place(command: str | bytes, number: int) -> str:
    return f"execute({command!r}): argument {number}" if number else "execute: the command"
