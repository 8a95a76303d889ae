"""Records of the keys that are there: KeysReader and KeysOnlyReader of `run()`, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from geartrain.readers.cursors import Portion
from geartrain.readers.fetching import Names, Plan, Records, Wanted, plan_for
from geartrain.readers.scanning import PAGE, Scan, is_exact, is_own
from geartrain.readers.values import NO_KEY, key_record, read_values
from geartrain.wire import Access, Link, Shard, pack


def key_records(
    link: Access,
    pattern: str,
    wanted: Wanted,
    shard: Shard | None = None,
    portion: Portion | None = None,
    *,
    no_scan: bool = False,
) -> Iterator[Records]:
    """Pages of records `{'key', 'value', 'type', 'event': None}`; a key that is gone when its value is read gives none.

    In the dialect redisgears-1.2 the type is None too where values are not read, and no value is read there of a set, a
    sorted set or a stream.

    Args:
        link: used between two pages.
        pattern: a glob, as in `SCAN MATCH`.
        wanted: what the records are to be.
        shard: keys of this shard only; None: of all.
        portion: these keys of the shard only; None: all.
        no_scan: `pattern` is one key's exact name.
    """
    if is_exact(pattern, literal=no_scan):
        yield _record_of(link, pattern, wanted)
        return
    for each in link.shards if shard is None else (shard,):
        walk = Scan(link.on(each), pattern, portion=portion)
        yield from _pages(link.on(each), walk, plan_for(link, each, walk.layout, wanted))


def key_names(
    link: Access,
    pattern: str,
    shard: Shard | None = None,
    portion: Portion | None = None,
    *,
    no_scan: bool = False,
    count: int | None = None,
) -> Iterator[Records]:
    """Pages of the names of the keys that match a pattern (with `no_scan`: have that name); `count` as in `SCAN`."""
    if is_exact(pattern, literal=no_scan):
        yield [pattern] if not is_own(pattern) and link.call("EXISTS", pattern) else []
        return
    for each in link.shards if shard is None else (shard,):
        walk = Scan(link.on(each), pattern, portion=portion, count=count or PAGE)
        yield from _pages(link.on(each), walk, Names(bare=True))


def _record_of(link: Access, key: str, wanted: Wanted) -> list[dict[str, Any]]:
    if is_own(key):
        return []
    kind, value = read_values(link, [key], values=wanted.values)[0]
    return [] if kind == NO_KEY else [key_record(key, kind, value, None, wanted.dialect, reads_value=wanted.values)]


def _pages(node: Link, walk: Scan, plan: Plan) -> Iterator[Records]:
    """The records of a walk.

    While the records of a page go through the steps, the server is at the next page's values, and at the names of the
    page behind that.
    """
    command = walk.command
    if command is None:
        return
    page = walk.take(node.exchange(pack(command), 1)[0])
    ready: Records = []
    under_way = False
    try:
        while True:
            more = walk.command
            packed, count = plan.packed(page)
            node.send(packed + pack(more) if more else packed)
            under_way = True
            # Empty ones too: they are progress.
            yield ready
            replies = node.replies(count + bool(more))
            under_way = False
            following = replies.pop() if more else None
            ready = plan.records(page, replies)
            if more is None:
                break
            page = walk.take(following)
        yield ready
    finally:
        if under_way:
            # Somebody has seen enough; replies are on their way.
            node.close()
