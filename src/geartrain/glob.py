r"""Glob patterns with the meaning that the server gives them in `SCAN MATCH`.

`*` any bytes, `?` one byte, `[abc]`, `[^a]`, `[a-z]` a class, `\` takes the next byte literally. Patterns work on
bytes, because keys are bytes.
"""

from __future__ import annotations

import re
from functools import lru_cache

_SPECIAL = frozenset(b"*?[\\")


def is_exact(pattern: bytes) -> bool:
    """Whether the pattern names one key: nothing in it is special."""
    return _SPECIAL.isdisjoint(pattern)


def escape(name: str) -> str:
    """A pattern that only this name matches; the name itself where nothing in it is special."""
    return "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in name)


@lru_cache(maxsize=4096)
def compiled(pattern: bytes) -> re.Pattern[bytes]:
    """A regular expression for `fullmatch`."""
    out = bytearray()
    at = 0
    while at < len(pattern):
        byte = pattern[at : at + 1]
        if byte == b"*":
            out += b".*"
        elif byte == b"?":
            out += b"."
        elif byte == b"[":
            text, at = _class(pattern, at)
            out += text
        else:
            if byte == b"\\" and at + 1 < len(pattern):
                at += 1
                byte = pattern[at : at + 1]
            out += re.escape(byte)
        at += 1
    return re.compile(bytes(out), re.DOTALL)


def matches(pattern: bytes, key: bytes) -> bool:
    """Whether the server's `MATCH pattern` would give `key`."""
    return compiled(pattern).fullmatch(key) is not None


def _class(pattern: bytes, start: int) -> tuple[bytes, int]:
    """The class that opens at `start`: its regular expression, and where its last byte is.

    As in the server, an unclosed class ends with the pattern, and an empty one matches nothing.
    """
    at = start + 1
    negated = pattern[at : at + 1] == b"^"
    at += negated
    members: set[int] = set()
    while at < len(pattern) and pattern[at : at + 1] != b"]":
        if pattern[at : at + 1] == b"\\" and at + 1 < len(pattern):
            at += 1
            members.add(pattern[at])
        elif at + 2 < len(pattern) and pattern[at + 1 : at + 2] == b"-":
            low, high = sorted((pattern[at], pattern[at + 2]))
            members.update(range(low, high + 1))
            at += 2
        else:
            members.add(pattern[at])
        at += 1
    if negated:
        members = set(range(256)) - members
    if not members:
        return rb"(?!)", at
    return b"[" + b"".join(b"\\x%02x" % member for member in sorted(members)) + b"]", at
