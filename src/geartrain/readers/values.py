"""Keys' types and values, as records hold them.

| type | value |
|---|---|
| string | str, or bytes where it is not valid UTF-8 (so everywhere below) |
| hash | dict of fields |
| list | list |
| set | set |
| zset | dict member -> score (float), in the order of the scores |
| stream | list of (id, dict of fields) |
| none (there is no such key), or a module's type | None |

In the dialect redisgears-1.2 set, zset and stream have the value None (`key_record`).

What is read of many keys, and when, `readers.fetching` says. Here it is two passes, each pipelined: the types, then the
values. A key that changed its type, or went away, in between is seen in the second pass (WRONGTYPE, or nothing there)
and is read once more, in a transaction that asks for every type.

Rejected: a Lua script that does both at once. It costs the server 8 us a key instead of 0.6 us, and does not run
where a user may not EVAL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from geartrain.config import Dialect
from geartrain.wire import Access, Argument, Command, ErrorReply, parse, raise_for

_OLD_VALUES = frozenset({"string", "hash", "list"})
"""The types that have a value in records of redisgears-1.2."""

NO_KEY = "none"
"""The type of a key that does not exist."""


def read_values(link: Access, keys: Sequence[str | bytes], *, values: bool = True) -> list[tuple[str, Any]]:
    """(type, value) of each key, seen at one moment; two round trips for up to 1000 keys.

    Without `values` every value is None.

    Raises:
        CommandError: the server refuses to read a key (a user's permissions, say).
        ServerUnavailable: the connection was lost.
    """
    kinds = read_kinds(link, keys)
    return read_of_kinds(link, keys, kinds) if values else [(kind, None) for kind in kinds]


def read_kinds(link: Access, keys: Sequence[str | bytes]) -> list[str]:
    """The type of each key; raises as `read_values`."""
    return kinds_of(link.pipeline([("TYPE", key) for key in keys]))


def kinds_of(replies: Iterable[Any]) -> list[str]:
    """The types that replies to `TYPE` say.

    Raises:
        CommandError: one of them is an error.
    """
    return [_checked(reply, ("TYPE",)) for reply in replies]


def read_of_kinds(link: Access, keys: Sequence[str | bytes], kinds: Sequence[str]) -> list[tuple[str, Any]]:
    """(type, value) of keys that had these types a moment ago; raises as `read_values`."""
    found: list[tuple[str, Any]] = [(kind, None) for kind in kinds]
    wanted = [at for at, kind in enumerate(kinds) if kind in _READING]
    commands = [_reading(kinds[at], keys[at]) for at in wanted]
    for at, command, reply in zip(wanted, commands, link.pipeline(commands), strict=True):
        if _has_changed(reply):
            found[at] = _read_at_once(link, keys[at])
        else:
            found[at] = (kinds[at], _shaped(kinds[at], _checked(reply, command)))
    return found


def key_record(
    key: str | bytes, kind: str, value: Any, event: str | None, dialect: Dialect, *, reads_value: bool = True
) -> dict[str, Any]:
    """The record of a key, as a dialect has it.

    Args:
        key: its name.
        kind: its type.
        value: its value.
        event: what has happened to it; None: nothing, it is there.
        dialect: geartrain or redisgears-1.2.
        reads_value: whether values are read; in redisgears-1.2 there is no type where they are not.
    """
    if dialect is Dialect.REDISGEARS_1_2:
        shown = kind if reads_value else None
        return {"event": event, "key": key, "type": shown, "value": value if shows_value(kind, dialect) else None}
    return {"key": key, "value": value, "type": kind, "event": event}


def shows_value(kind: str, dialect: Dialect) -> bool:
    """Whether the records of a dialect have the value of keys of that type."""
    return kind in _OLD_VALUES if dialect is Dialect.REDISGEARS_1_2 else kind in _READING


def has_value(kind: str) -> bool:
    """Whether a key of that type has a value that can be read."""
    return kind in _READING


def encoded_value(kind: str, encoded: bytes) -> Any:
    """The value of a key of that type, from the server's reply to the command that reads all of it."""
    return _shaped(kind, parse(encoded))


def read_value(call: Callable[..., Any], kind: str, key: str | bytes) -> Any:
    """The value of one key whose type is certain, read by `call(*command)`; None for a type that has none."""
    return _shaped(kind, call(*_reading(kind, key))) if kind in _READING else None


def _reading(kind: str, key: str | bytes) -> Command:
    """The command that reads all of a key of that type."""
    name, rest, _ = _READING[kind]
    return (name, key, *rest)


def _shaped(kind: str, reply: Any) -> Any:
    return _READING[kind][2](reply)


def _has_changed(reply: Any) -> bool:
    """Whether the key may not be any more what its type said (an empty stream is the same as none here)."""
    if isinstance(reply, ErrorReply):
        return reply.code == "WRONGTYPE"
    return reply is None or reply == []


def _read_at_once(link: Access, key: str | bytes) -> tuple[str, Any]:
    """Type and value in one transaction: all but one of its reads are refused, or find nothing."""
    commands = [_reading(kind, key) for kind in _READING]
    kind, *replies = link.transaction([("TYPE", key), *commands]) or (NO_KEY,)
    if kind not in _READING:
        return kind, None
    at = list(_READING).index(kind)
    return kind, _shaped(kind, _checked(replies[at], commands[at]))


def _checked(reply: Any, command: Command) -> Any:
    if isinstance(reply, ErrorReply):
        raise_for(reply, command)
    return reply


def _itself(reply: Any) -> Any:
    return reply


def _pairs(flat: list[Any]) -> Iterator[tuple[Any, Any]]:
    items = iter(flat)
    return zip(items, items, strict=True)


def _fields(flat: list[Any]) -> dict[Any, Any]:
    return dict(_pairs(flat))


def _scores(flat: list[Any]) -> dict[str | bytes, float]:
    return {member: float(score) for member, score in _pairs(flat)}


def _entries(entries: list[Any]) -> list[tuple[str, dict[Any, Any]]]:
    return [(entry_id, _fields(fields)) for entry_id, fields in entries]


_READING: Mapping[str, tuple[str, tuple[Argument, ...], Callable[[Any], Any]]] = {
    "string": ("GET", (), _itself),
    "hash": ("HGETALL", (), _fields),
    "list": ("LRANGE", (0, -1), _itself),
    "set": ("SMEMBERS", (), set),
    "zset": ("ZRANGE", (0, -1, "WITHSCORES"), _scores),
    "stream": ("XRANGE", ("-", "+"), _entries),
}
"""Type -> the command that reads all of it, what follows the key, and what makes the value of the reply."""
