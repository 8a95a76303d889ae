"""Stream entries, as the parser gives them, to the records that users see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from geartrain.config import Dialect
from geartrain.extension import extension

if TYPE_CHECKING:
    import _geartrain_records

Entry = list[Any]
"""`[id, [field, value, field, value, ...]]`"""

Entries = Sequence[Entry]
"""Entries of one stream, in order: a list, or `_geartrain_records.Entries`, which makes objects when it is asked."""


Build = Callable[[Entries], list[dict[Any, Any]]]

_MOST_GENERATED = 64
"""Fields of an entry up to which there is a builder made for their number."""


_native: type[_geartrain_records.Entries] | None = None if extension is None else extension.Entries


def id_of(entries: Entries, index: int) -> str:
    """The id of one of the entries; a negative index counts from the end."""
    if _native is not None and isinstance(entries, _native):
        return entries.id(index)
    return str(entries[index][0])


def size_of(entries: Entries) -> int:
    """About how many bytes the entries (at least one) hold; of a list, as if the first or the last one were typical."""
    if _native is not None and isinstance(entries, _native):
        return entries.size
    return len(entries) * max(_size(entries[0]), _size(entries[-1]))


def _size(entry: Any) -> int:
    body = entry[1]
    return 100 + (sum(map(len, body)) if isinstance(body, list) else len(body))


def joined(first: Any, second: Any) -> Any:
    """The entries of both, in that order; lists, where they are not of one kind."""
    return first + second if type(first) is type(second) else [*first, *second]


def records_of(entries: Entries, stream: str | bytes, dialect: Dialect) -> list[dict[Any, Any]]:
    """New records, one for each entry, in order.

    Geartrain's own format is `{'streamId': id, field: value, ...}`; a field that is itself named `streamId` gives way
    to the id, and of a field that occurs twice the last value counts. RedisGears 1.2's is `{'key', 'id', 'value':
    {...}}`.
    """
    if _native is not None and isinstance(entries, _native):
        return entries.records(stream) if dialect is Dialect.REDISGEARS_1_2 else entries.records()
    if dialect is Dialect.REDISGEARS_1_2:
        return [{"key": stream, "id": entry_id, "value": fields_of(fields)} for entry_id, fields in entries]
    count = len(entries[0][1]) if entries else 0
    if count <= _MOST_GENERATED:
        try:
            return _builder(count)(entries)
        except ValueError:
            # Not all entries of this batch have the same number of fields.
            pass
    return [{"streamId": entry_id, **fields_of(fields), "streamId": entry_id} for entry_id, fields in entries]  # noqa: F601


@cache
def _builder(count: int) -> Build:
    """A function for entries of `count` fields and values; it raises ValueError on any other.

    A dict display costs 0.4 us for three fields, where `dict(zip(...))` costs 1.1 to 1.8 us (CPython 3.11).
    """
    names = [f"x{index}" for index in range(count)]
    target = f"({', '.join(names)},)" if names else "()"
    pairs = "".join(f"{field}: {value}, " for field, value in zip(names[::2], names[1::2], strict=True))
    source = f"lambda entries: [{{'streamId': id, {pairs}'streamId': id}} for id, {target} in entries]"
    made: Build = eval(source)  # noqa: S307 - built from numbers alone
    return made


def fields_of(flat: list[Any]) -> dict[Any, Any]:
    """The fields of one entry, or any reply that has names and values in turn, as a dict."""
    fields = {}
    for index in range(0, len(flat), 2):
        fields[flat[index]] = flat[index + 1]
    return fields


def id_parts(entry_id: str) -> tuple[int, int]:
    """An entry id as two numbers, which compare as the server orders ids."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def before(entry_id: str) -> str:
    """The id just before this one, after which a reader begins that reads *from* it; `$` stays `$`."""
    if entry_id == "$":
        return entry_id
    milliseconds, sequence = id_parts(entry_id)
    if sequence:
        return f"{milliseconds}-{sequence - 1}"
    return f"{milliseconds - 1}-{2**64 - 1}" if milliseconds else "0-0"
