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

Two passes, each pipelined: the types, then the values. A key that changed its type, or went away, in between is seen in
the second pass (WRONGTYPE, or nothing there) and is read again. Rejected: a Lua script that does both at once; it costs
the server 8 us a key instead of 0.6 us, and does not run where a user may not EVAL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from geartrain.errors import CommandError
from geartrain.wire import Argument, Command, ErrorReply, Link, raise_for

NO_KEY = "none"
"""The type of a key that does not exist."""

_ATTEMPTS = 5
"""How often a key is read again that changes its type all the time."""


def read_values(link: Link, keys: Sequence[str | bytes], *, values: bool = True) -> list[tuple[str, Any]]:
    """(type, value) of each key; two round trips for up to 1000 keys. Without `values` every value is None.

    Raises:
        CommandError: the server refuses to read a key (a user's permissions, say).
        ServerUnavailable: the connection was lost.
    """
    if not values:
        return [(kind, None) for kind in _types(link, keys)]
    found: list[tuple[str, Any]] = [(NO_KEY, None)] * len(keys)
    pending: Iterable[int] = range(len(keys))
    for attempt in range(_ATTEMPTS):
        pending = _read(link, keys, list(pending), found, last=attempt == _ATTEMPTS - 1)
        if not pending:
            break
    return found


def _types(link: Link, keys: Sequence[str | bytes]) -> list[str]:
    return [_checked(reply, ("TYPE",)) for reply in link.pipeline([("TYPE", key) for key in keys])]


def _read(
    link: Link, keys: Sequence[str | bytes], wanted: list[int], found: list[tuple[str, Any]], *, last: bool
) -> list[int]:
    """Read the keys at positions `wanted` into `found`; returns the positions that changed meanwhile."""
    kinds = _types(link, [keys[at] for at in wanted])
    commands: list[Command] = []
    readable: list[tuple[int, str]] = []
    for at, kind in zip(wanted, kinds, strict=True):
        reading = _READING.get(kind)
        if reading is None:
            found[at] = (kind, None)
        else:
            commands.append((reading[0], keys[at], *reading[1]))
            readable.append((at, kind))
    changed = []
    for (at, kind), command, reply in zip(readable, commands, link.pipeline(commands), strict=True):
        if _has_changed(reply, seen_before=found[at][0] == kind) and not last:
            changed.append(at)
            found[at] = (kind, None)
        else:
            found[at] = (kind, _READING[kind][2](_checked(reply, command)))
    return changed


def _has_changed(reply: Any, *, seen_before: bool) -> bool:
    """Whether the key is not what its type said. A stream may be empty: it is when that is seen twice."""
    if isinstance(reply, ErrorReply):
        return CommandError("", reply.text).code == "WRONGTYPE"
    return reply is None or (reply == [] and not seen_before)


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
