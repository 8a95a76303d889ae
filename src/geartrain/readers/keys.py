"""Records of the keys that are there: KeysReader and KeysOnlyReader of `run()`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from geartrain.config import Dialect
from geartrain.errors import CommandError
from geartrain.readers.scanning import Page, names
from geartrain.readers.shards import Portion
from geartrain.readers.values import NO_KEY, key_record, read_values
from geartrain.wire import Access, Shard

_REDIRECTIONS = {"MOVED", "ASK"}


def key_records(
    link: Access,
    pattern: str,
    dialect: Dialect,
    shard: Shard | None = None,
    portion: Portion | None = None,
    *,
    no_scan: bool = False,
    read_value: bool = True,
) -> Iterator[dict[str, Any]]:
    """Give records `{'key', 'value', 'type', 'event': None}`; a key that is gone when its value is read gives none.

    In the dialect redisgears-1.2 the type is None too where values are not read, and no value is read there of a set, a
    sorted set or a stream.

    Args:
        link: used between two records.
        pattern: a glob, as in `SCAN MATCH`.
        dialect: the record format.
        shard: keys of this shard only; None: of all.
        portion: these keys only; None: all.
        no_scan: `pattern` is one key's exact name.
        read_value: False: every `value` is None.
    """
    for found in names(link, pattern, shard, literal=no_scan):
        page = found if portion is None else [key for key in found if portion.has(key)]
        values = _read(link, shard, page, values=read_value)
        for key, (kind, value) in zip(page, values, strict=True):
            if kind != NO_KEY:
                yield key_record(key, kind, value, None, dialect, reads_value=read_value)


def _read(link: Access, shard: Shard | None, page: Page, *, values: bool) -> list[tuple[str, Any]]:
    """Types and values, from the shard itself; keys that have moved since they were found, from where they are."""
    if shard is not None:
        try:
            return read_values(link.on(shard), page, values=values)
        except CommandError as error:
            if error.code not in _REDIRECTIONS:
                raise
    return read_values(link, page, values=values)


def key_names(
    link: Access, pattern: str, shard: Shard | None = None, *, no_scan: bool = False, count: int | None = None
) -> Iterator[str | bytes]:
    """The names of the keys that match a pattern (or, with `no_scan`, have that name); `count` as in `SCAN`."""
    for page in names(link, pattern, shard, literal=no_scan, count=count):
        yield from _present(link, page) if len(page) == 1 else page


def _present(link: Access, page: Page) -> Page:
    """A page of one name may be the pattern itself, which nobody has looked up."""
    return [key for key in page if link.call("EXISTS", key)]
