"""The loop that people write with walrus: a consumer group's `read`, and `ack` of all that was read.

python -m benchmarks.peers.walrus_loop URL STREAM GROUP COUNT
"""

from __future__ import annotations

import sys

from walrus import Walrus

from benchmarks.peers.redis_loop import BLOCK_MS, nothing


def main() -> None:
    """Work until killed."""
    url, stream, group, count = sys.argv[1:]
    database = Walrus.from_url(url, decode_responses=True)
    consumer = database.consumer_group(group, [stream], consumer="consumer")
    while True:
        for name, entries in consumer.read(count=int(count), block=BLOCK_MS) or ():
            for entry_id, fields in entries:
                nothing({"streamId": entry_id, **fields})
            consumer.streams[name].ack(*[entry_id for entry_id, _ in entries])


if __name__ == "__main__":
    main()
