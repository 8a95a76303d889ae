"""Records: what is there for `run()`, and the shapes that workers share with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from geartrain.builder import Reader, RunRequest
from geartrain.config import Dialect
from geartrain.errors import ArgumentError, InternalError
from geartrain.readers.cursors import Cursors, Layout, Portion, portions
from geartrain.readers.fetching import FIELDS, Records, Wanted
from geartrain.readers.keys import key_names, key_records
from geartrain.readers.python import python_records
from geartrain.readers.scanning import cursors_at
from geartrain.readers.shards import reads_one_key, shard_ids
from geartrain.readers.stream import stream_records
from geartrain.wire import Access, Shard


def batches(
    request: RunRequest,
    link: Access,
    dialect: Dialect,
    shard: Shard | None = None,
    portion: Portion | None = None,
    fields: Collection[str] = FIELDS,
    *,
    lent: bool = False,
) -> Iterator[Records]:
    """The records that a `run()` works on, in lists, as they are read: pages where the reader has some.

    Args:
        request: what `run()` asks for.
        link: a connection for the reader alone.
        dialect: the record format.
        shard: only what lies there (where it reads one key: that key's); None: on all of them.
        portion: KeysReader, KeysOnlyReader: only these keys of the shard; None: all.
        fields: KeysReader: what somebody may look at; see `Wanted`.
        lent: KeysReader: nobody keeps a record; see `Wanted`.

    Raises:
        CommandError: the server refuses to read.
        ServerUnavailable: the connection was lost.
    """
    match request.reader:
        case Reader.KEYS:
            wanted = Wanted(dialect, fields, values=request.read_value, lent=lent)
            return key_records(link, request.pattern, wanted, shard, portion, no_scan=request.no_scan)
        case Reader.KEYS_ONLY:
            return _key_names(request, link, shard, portion)
        case Reader.STREAM:
            return stream_records(link, request.pattern, dialect, request.from_id, shard)
        case Reader.PYTHON:
            return ([record] for record in python_records(request.source or tuple))
        case Reader.SHARDS:
            return ([shard_id] for shard_id in shard_ids(link, dialect, shard))
        case Reader.COMMAND | Reader.TIME:
            raise InternalError(f"run() reads with a {request.reader}: the builder should have refused it")


def _key_names(request: RunRequest, link: Access, shard: Shard | None, portion: Portion | None) -> Iterator[Records]:
    """The names of keys; each shard may have a pattern of its own."""
    generator = request.pattern_generator
    if generator is None:
        yield from key_names(link, request.pattern, shard, portion, no_scan=request.no_scan, count=request.count)
        return
    for each in link.shards if shard is None else (shard,):
        made = generator()
        if not isinstance(made, tuple) or len(made) != 2 or not isinstance(made[0], str):
            raise ArgumentError(f"run: patternGenerator returned {made!r:.80}; it must return (pattern, noScan)")
        pattern, no_scan = made
        yield from key_names(link, pattern, each, no_scan=bool(no_scan), count=request.count)


__all__ = ["FIELDS", "Cursors", "Layout", "Portion", "Records", "batches", "cursors_at", "portions", "reads_one_key"]
