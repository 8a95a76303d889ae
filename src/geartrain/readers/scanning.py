"""The names of the keys that are there and match a pattern."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from geartrain import glob
from geartrain.keys import PREFIX
from geartrain.text import to_bytes
from geartrain.wire import Access, Argument, Link, Shard

PAGE = 1000
"""Keys that the server looks at for one SCAN; larger: fewer round trips, and others wait longer."""

Page: TypeAlias = list[str | bytes]


def scan(
    link: Access, pattern: str, kind: str | None = None, shard: Shard | None = None, count: int | None = None
) -> Iterator[Page]:
    """Names of keys, in pages, each name once; without Geartrain's own keys.

    Keys that are there all the time are found; one that comes or goes meanwhile may be.

    Args:
        link: used between two pages only.
        pattern: a glob, as in `SCAN MATCH`.
        kind: keys of this type only, for example `stream`; None: of any.
        shard: keys of this shard only; None: of all.
        count: keys that the server looks at for one SCAN; None: 1000.
    """
    options: tuple[Argument, ...] = ("MATCH", pattern, "COUNT", count or PAGE, *(("TYPE", kind) if kind else ()))
    for each in link.shards if shard is None else (shard,):
        yield from _scan_shard(link.on(each), options)


def _scan_shard(link: Link, options: tuple[Argument, ...]) -> Iterator[Page]:
    seen: set[str | bytes] = set()
    cursor = "0"
    while True:
        cursor, found = link.call("SCAN", cursor, *options)
        # The server may give a key twice, also within one page, while it resizes its table.
        fresh = [key for key in dict.fromkeys(found) if key not in seen and not is_own(key)]
        seen.update(fresh)
        if fresh:
            yield fresh
        if cursor == "0":
            return


def names(
    link: Access, pattern: str, shard: Shard | None = None, *, literal: bool = False, count: int | None = None
) -> Iterator[Page]:
    """As `scan`; a pattern that can match one name only, or is `literal`, is that name, be the key there or not."""
    if not literal and not glob.is_exact(pattern.encode()):
        yield from scan(link, pattern, shard=shard, count=count)
    elif not is_own(pattern):
        yield [pattern]


def is_own(key: str | bytes) -> bool:
    """Whether Geartrain itself keeps something under this name."""
    return to_bytes(key).startswith(PREFIX)
