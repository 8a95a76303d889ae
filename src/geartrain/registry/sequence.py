"""Ids of the dialect redisgears-1.2: of sessions, registrations and executions, `<40 characters>-<number>`.

One counter for all of them; who takes many numbers at once may use them late, so ids do not tell who came first.
"""

from __future__ import annotations

from geartrain import keys
from geartrain.wire import Access, ClusterLink

ALONE = "0" * 40
"""What stands before the number on a server that is no cluster."""


def shard_id(link: Access) -> str:
    """The id, 40 characters, of the node that serves the registry: zeros on a server that is no cluster.

    Raises:
        ServerUnavailable: nobody serves it now.
    """
    return (link.shard_of(keys.SEQUENCE).node if isinstance(link, ClusterLink) else "") or ALONE


def new_id(link: Access) -> str:
    """An id that nothing else has."""
    return new_ids(link, 1)[0]


def new_ids(link: Access, count: int) -> list[str]:
    """Several ids with numbers that follow each other.

    Args:
        link: a connection.
        count: how many, at least 1.
    """
    last = int(link.call("INCRBY", keys.SEQUENCE, count))
    shard = shard_id(link)
    return [f"{shard}-{number}" for number in range(last - count + 1, last + 1)]
