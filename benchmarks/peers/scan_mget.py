"""What people write to go over all keys: SCAN, and MGET of what it found, with redis-py.

    python -m benchmarks.peers.scan_mget URL count|sum

Prints JSON: {"seconds": S, "cpu": S, "result": N}. The clocks start when the connection is there.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator

import redis

from benchmarks.keyfunctions import add, amount

COUNT = 1000


def main() -> None:
    """Go over all keys once."""
    url, what = sys.argv[1:]
    connection = redis.Redis.from_url(url, decode_responses=True)
    connection.ping()
    work = {"count": count, "sum": total}[what]
    begin, used = time.perf_counter(), time.process_time()
    result = work(connection)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - used
    print(json.dumps({"seconds": seconds, "cpu": cpu, "result": result}))


def values(connection: redis.Redis) -> Iterator[list[str | None]]:
    """The values of all keys, in pages; None: it is no string."""
    cursor = 0
    while True:
        cursor, keys = connection.scan(cursor, count=COUNT)
        if keys:
            yield connection.mget(keys)
        if cursor == 0:
            return


def count(connection: redis.Redis) -> int:
    """How many there are."""
    found = 0
    for page in values(connection):
        for value in page:
            if value is not None:
                found += 1
    return found


def total(connection: redis.Redis) -> int:
    """The sum of their amounts."""
    found = 0
    for page in values(connection):
        for value in page:
            if value is not None:
                found = add(found, amount(value))
    return found


if __name__ == "__main__":
    main()
