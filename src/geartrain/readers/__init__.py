"""Records: what is there for `run()`, and the shapes that workers share with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from geartrain.builder import Reader, RunRequest
from geartrain.config import Dialect
from geartrain.errors import ArgumentError, InternalError
from geartrain.readers.keys import key_names, key_records
from geartrain.readers.python import python_records
from geartrain.readers.shards import Portion, reads_one_key, shard_ids
from geartrain.readers.stream import stream_records
from geartrain.wire import Access, Shard


def records(
    request: RunRequest, link: Access, dialect: Dialect, shard: Shard | None = None, portion: Portion | None = None
) -> Iterator[Any]:
    """The records that a `run()` works on, read as they are needed.

    Args:
        request: what `run()` asks for.
        link: a connection for the reader alone.
        dialect: the record format.
        shard: only what lies there (where it reads one key: that key's); None: on all of them.
        portion: KeysReader: only these keys; None: all.

    Raises:
        CommandError: the server refuses to read.
        ServerUnavailable: the connection was lost.
    """
    match request.reader:
        case Reader.KEYS:
            options = {"no_scan": request.no_scan, "read_value": request.read_value}
            return key_records(link, request.pattern, dialect, shard, portion, **options)
        case Reader.KEYS_ONLY:
            return _key_names(request, link, shard)
        case Reader.STREAM:
            return stream_records(link, request.pattern, dialect, request.from_id, shard)
        case Reader.PYTHON:
            return python_records(request.source or tuple)
        case Reader.SHARDS:
            return shard_ids(link, dialect, shard)
        case Reader.COMMAND | Reader.TIME:
            raise InternalError(f"run() reads with a {request.reader}: the builder should have refused it")


def _key_names(request: RunRequest, link: Access, shard: Shard | None) -> Iterator[str | bytes]:
    """The names of keys; each shard may have a pattern of its own."""
    generator = request.pattern_generator
    if generator is None:
        yield from key_names(link, request.pattern, shard, no_scan=request.no_scan, count=request.count)
        return
    for each in link.shards if shard is None else (shard,):
        made = generator()
        if not isinstance(made, tuple) or len(made) != 2 or not isinstance(made[0], str):
            raise ArgumentError(f"run: patternGenerator returned {made!r:.80}; it must return (pattern, noScan)")
        pattern, no_scan = made
        yield from key_names(link, pattern, each, no_scan=bool(no_scan), count=request.count)


__all__ = ["Portion", "reads_one_key", "records"]
