"""Stream entries, as the parser gives them, to the records that users see."""

from __future__ import annotations

from typing import Any

from geartrain.config import Dialect

Entry = list[Any]
"""`[id, [field, value, field, value, ...]]`"""


def records_of(entries: list[Entry], stream: str | bytes, dialect: Dialect) -> list[dict[Any, Any]]:
    """New records, one for each entry, in order.

    Geartrain's own format is `{'streamId': id, field: value, ...}`; a field that is itself named `streamId` gives way
    to the id, and of a field that occurs twice the last value counts.
    RedisGears 1.2's is `{'key', 'id', 'value': {...}}`.
    """
    if dialect is Dialect.REDISGEARS_1_2:
        return [{"key": stream, "id": entry_id, "value": fields_of(fields)} for entry_id, fields in entries]
    records = []
    for entry_id, fields in entries:
        record = {"streamId": entry_id}
        pairs = iter(fields)
        record.update(zip(pairs, pairs, strict=True))
        record["streamId"] = entry_id
        records.append(record)
    return records


def fields_of(flat: list[Any]) -> dict[Any, Any]:
    """A dict, from fields and values in turn; of a field that occurs twice the last value counts."""
    pairs = iter(flat)
    return dict(zip(pairs, pairs, strict=True))


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
