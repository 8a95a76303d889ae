"""Values as JSON has them: what `--json` prints (docs/reference/cli-json.md)."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from geartrain.text import shown


def plain(value: Any) -> Any:
    """The value in JSON's types.

    | in Python | in JSON |
    |---|---|
    | str, int, bool, None, finite float | the same |
    | inf, -inf, nan | "inf", "-inf", "nan" |
    | bytes (no valid UTF-8) | {"$base64": "..."} |
    | dict, dataclass | object; a key that is no str as its text |
    | list, tuple | array |
    | set, frozenset | array, sorted by the items' text |
    | anything else | its `repr` |
    """
    if is_dataclass(value) and not isinstance(value, type):
        value = {item.name: getattr(value, item.name) for item in fields(value)}
    match value:
        case Mapping():
            return {_key(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case set() | frozenset():
            return [plain(item) for item in sorted(value, key=repr)]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case None | bool() | int() | float() | str():
            return value
        case bytes() | bytearray():
            return {"$base64": base64.b64encode(value).decode()}
    return repr(value)


def _key(key: Any) -> str:
    return shown(key) if isinstance(key, str | bytes) else repr(key)


def line(value: Any) -> str:
    """The value on one line for people: text as it is, everything else as Python writes it."""
    return value if isinstance(value, str) and value.isprintable() else repr(value)
