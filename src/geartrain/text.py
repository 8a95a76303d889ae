"""Bytes of the server to Python text and back, without loss and, for valid UTF-8, without cost.

The parser decodes in C with the error handler registered here. It is called only where bytes are not valid UTF-8: it
keeps them as lone surrogates (which valid UTF-8 never decodes to) and notes that it was called, in this thread. Only
then is the reply walked, and each string that holds such surrogates goes back to the bytes that it was. So text is
`str` where it is valid UTF-8 and `bytes` where it is not, and both are sent back as the same bytes.

Rejected: decoding in Python (80 ns a string, a third of the time of a read), and parsing twice.
"""

from __future__ import annotations

import codecs
import threading
from typing import Any

HANDLER = "geartrain-keep-bytes"
"""The name of the error handler, for `hiredis.Reader(errors=...)`."""


class _Noted(threading.local):
    undecodable = False


_noted = _Noted()


def _keep(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    _noted.undecodable = True
    piece = error.object[error.start : error.end]
    return piece.decode("ascii", "surrogateescape"), error.end


codecs.register_error(HANDLER, _keep)


def withdraw() -> bool:
    """Whether there are undecodable strings in the part of a reply that has been parsed.

    It is to be restored later, when `note` has said so again; until then others may parse in this thread.
    """
    undecodable, _noted.undecodable = _noted.undecodable, False
    return undecodable


def note() -> None:
    """There are undecodable strings in the reply that is restored next."""
    _noted.undecodable = True


def restore(reply: Any) -> Any:
    """The reply with every undecodable string as bytes; call it for each reply that the parser made in this thread."""
    if not _noted.undecodable:
        return reply
    _noted.undecodable = False
    return _walk(reply)


def _walk(reply: Any) -> Any:
    if isinstance(reply, str):
        return _bytes_if_undecodable(reply)
    if isinstance(reply, list):
        reply[:] = [_walk(item) for item in reply]
    elif isinstance(reply, dict):
        return {_walk(name): _walk(value) for name, value in reply.items()}
    return reply


def _bytes_if_undecodable(text: str) -> str | bytes:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")
    return text


def to_bytes(text: str | bytes) -> bytes:
    """The bytes that the server knows this text as."""
    return text if isinstance(text, bytes) else text.encode()


def to_text(data: bytes) -> str | bytes:
    """`str` where `data` is valid UTF-8, else `data` itself."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def shown(text: str | bytes) -> str:
    r"""For people: undecodable bytes as `\xNN`."""
    return text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
