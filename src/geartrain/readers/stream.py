"""Records of the entries that streams hold: StreamReader of `run()`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from geartrain import glob
from geartrain.config import Dialect
from geartrain.readers.entries import records_of
from geartrain.readers.scanning import scan
from geartrain.text import to_bytes
from geartrain.wire import Access, Shard

PAGE = 1000
"""Entries that are read at once."""


def stream_records(
    link: Access, pattern: str, dialect: Dialect, from_id: str = "0-0", shard: Shard | None = None
) -> Iterator[list[dict[Any, Any]]]:
    """Pages of the records of all streams that match a pattern, in the order of the streams' names, then of the ids.

    Args:
        link: used between two pages.
        pattern: a glob, as in `SCAN MATCH`, or a stream's name.
        dialect: the record format.
        from_id: the first id that is read, in each stream.
        shard: streams of this shard only; None: of all.

    Raises:
        CommandError: `pattern` names one key, and it is no stream.
    """
    for stream in _streams(link, pattern, shard):
        start = from_id
        while True:
            entries = link.call("XRANGE", stream, start, "+", "COUNT", PAGE)
            yield records_of(entries, stream, dialect)
            if len(entries) < PAGE:
                break
            start = f"({entries[-1][0]}"


def _streams(link: Access, pattern: str, shard: Shard | None) -> list[str | bytes]:
    if glob.is_exact(pattern.encode()):
        return [pattern]
    return sorted((name for page in scan(link, pattern, "stream", shard) for name in page), key=to_bytes)
