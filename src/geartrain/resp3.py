"""Values of Python as replies, in the text of RESP3: what callers are answered with, and what is kept to be answered.

The server module turns it into the protocol that the caller speaks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

NULL = b"_\r\n"


class Status(str):
    """A simple string, as `OK` is."""

    __slots__ = ()


class Error(str):
    """An error: its first word is the code (`ERR no such execution`)."""

    __slots__ = ()


class Encoded(bytes):
    """A value that is in the text of RESP3 already."""

    __slots__ = ()


def encode(value: Any) -> bytes:
    r"""A value as one reply.

    Args:
        value: str (with lone surrogates: their bytes are escaped, as `\udcff`), bytes, bool, int, float, None, Status,
            Error, Encoded, or a list, tuple, set or dict of such. Anything else is sent as its `str()`.
    """
    parts: list[bytes] = []
    _append(value, parts)
    return b"".join(parts)


def encode_array(values: Iterable[Any]) -> bytes:
    """An array of values."""
    return encode(list(values))


def _append(value: Any, parts: list[bytes]) -> None:
    kind = type(value)
    if kind is str:
        _append_text(value, parts)
    elif kind is bytes:
        parts.append(b"$%d\r\n%b\r\n" % (len(value), value))
    elif kind is int:
        parts.append(b":%d\r\n" % value if -(2**63) <= value < 2**63 else b"(%d\r\n" % value)
    elif kind is list or kind is tuple:
        parts.append(b"*%d\r\n" % len(value))
        for item in value:
            _append(item, parts)
    elif value is None:
        parts.append(NULL)
    else:
        _append_other(value, parts)


def _append_text(value: str, parts: list[bytes]) -> None:
    try:
        data = value.encode()
    except UnicodeEncodeError:
        data = value.encode("utf-8", "backslashreplace")
    parts.append(b"$%d\r\n%b\r\n" % (len(data), data))


def _append_other(value: Any, parts: list[bytes]) -> None:
    """What is rarer, and subclasses."""
    match value:
        case Error() | Status():
            parts.append(b"%b%b\r\n" % (b"-" if isinstance(value, Error) else b"+", _line(value)))
        case bool():
            parts.append(b"#t\r\n" if value else b"#f\r\n")
        case int():
            _append(int(value), parts)
        case float():
            parts.append(b",%b\r\n" % repr(float(value)).encode())
        case Encoded():
            parts.append(value)
        case bytes() | bytearray():
            _append(bytes(value), parts)
        case list() | tuple() | set() | frozenset() | dict():
            _append_many(value, parts)
        case _:
            _append_text(text_of(value), parts)


def _append_many(value: Any, parts: list[bytes]) -> None:
    kind, items = b"*", value
    if isinstance(value, dict):
        kind, items = b"%", [item for pair in value.items() for item in pair]
    elif isinstance(value, set | frozenset):
        kind = b"~"
    parts.append(b"%b%d\r\n" % (kind, len(value)))
    for item in items:
        _append(item, parts)


def text_of(value: Any) -> str:
    """A value's `str()`, whatever its `__str__` does."""
    try:
        return str.__str__(value) if isinstance(value, str) else str(value)
    except Exception as error:  # noqa: BLE001 - user code: a __str__ may raise anything
        return f"<{type(value).__name__}, whose __str__ raised {type(error).__name__}>"


def _line(value: str) -> bytes:
    """A simple string or an error is one line."""
    return str.__str__(value).replace("\r", " ").replace("\n", " ").encode("utf-8", "backslashreplace")
