"""Names that lie on certain shards of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geartrain.wire import Access, Shard


def name_on(link: Access, shard: Shard, prefix: str = "s") -> str:
    """A name that begins so, on that shard."""
    return next(name for number in range(10_000) if link.shard_of(name := f"{prefix}:{number}") == shard)


def one_on_each(link: Access, prefix: str = "s") -> list[str]:
    """One such name for each shard, in the order of the shards."""
    return [name_on(link, shard, prefix) for shard in link.shards]
