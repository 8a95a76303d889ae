"""The least that a program can do to react to a stream: `XREAD BLOCK`, one command for each entry. It keeps no offset.

    python -m benchmarks.peers.xread_block URL STREAM SHA KEY

The command is the script SHA with KEY and the field `sent`, as in the Geartrain registration that it is compared with.
"""

from __future__ import annotations

import sys

import redis


def main() -> None:
    """Work until killed."""
    url, stream, sha, key = sys.argv[1:]
    client = redis.Redis.from_url(url, decode_responses=True)
    last = "0-0"
    while True:
        for _, entries in client.xread({stream: last}, count=100, block=1000) or ():
            for entry_id, fields in entries:
                client.evalsha(sha, 1, key, fields["sent"])
                last = entry_id


if __name__ == "__main__":
    main()
