"""The loop that people write with redis-py: `XREADGROUP`, the same dict for each entry, `XACK` of all that was read.

    python -m benchmarks.peers.redis_loop URL STREAM GROUP COUNT [set]

With `set` it does what the specification's example does: `SET` of each record's text, waiting for each reply.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import redis

BLOCK_MS = 1000


def nothing(_record: dict[str, str]) -> None:
    """What an empty `foreach` does."""


def main() -> None:
    """Work until killed."""
    url, stream, group, count, *effect = sys.argv[1:]
    client = redis.Redis.from_url(url, decode_responses=True)

    def keep(record: dict[str, str]) -> None:
        client.set(record["streamId"], str(record))

    consume(client, stream, group, int(count), keep if effect else nothing)


def consume(client: redis.Redis, stream: str, group: str, count: int, effect: Callable[[dict[str, str]], Any]) -> None:
    """Read, call `effect` for each record, acknowledge."""
    while True:
        for _, entries in client.xreadgroup(group, "consumer", {stream: ">"}, count=count, block=BLOCK_MS) or ():
            for entry_id, fields in entries:
                effect({"streamId": entry_id, **fields})
            client.xack(stream, group, *[entry_id for entry_id, _ in entries])


if __name__ == "__main__":
    main()
