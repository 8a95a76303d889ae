"""Arguments of commands, as the caller wrote them."""

from __future__ import annotations

from collections.abc import Sequence

from geartrain.errors import RgError
from geartrain.text import shown

Words = Sequence[str | bytes]


def text(name: str, word: str | bytes) -> str:
    """An argument that is text.

    Raises:
        RgError: it is no UTF-8.
    """
    if isinstance(word, bytes):
        raise RgError(f"{name}: {shown(word)!r} is not UTF-8")
    return word


def upper(word: str | bytes) -> str:
    """A keyword, as it is compared."""
    return shown(word).upper()


def count(words: Words, least: int, most: int | None = None) -> None:
    """Check how many arguments there are, the command's name included.

    Raises:
        RgError: too few, or too many.
    """
    if len(words) < least or (most is not None and len(words) > most):
        raise RgError(f"wrong number of arguments for '{shown(words[0])}' command")
