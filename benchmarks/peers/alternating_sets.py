"""A client that writes to several servers in turn, to each as fast as it takes it.

    python -m benchmarks.peers.alternating_sets SECONDS DEPTH URL...

Prints JSON: {"writes": N, "seconds": [S, ...]}: writes to each server, and the time that each took for them, in the
order of the URLs. A slice is EXCHANGES times DEPTH `SET`s to one server; after it comes another server, in an order
that is shuffled before each pass, so that no server always follows the same other. SECONDS are for all together.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Sequence
from socket import socket

from benchmarks.peers.pipelined_set import KEYS, OK, connect, exchange, set_command

EXCHANGES = 20
"""Exchanges of one slice."""

PACKED = 200
"""Different exchanges that are packed beforehand."""


def main() -> None:
    """Write for so many seconds."""
    seconds, depth = float(sys.argv[1]), int(sys.argv[2])
    connections = [connect(url) for url in sys.argv[3:]]
    packed = [b"".join(set_command(random.randrange(KEYS)) for _ in range(depth)) for _ in range(PACKED)]
    length = len(OK) * depth
    spent = [0.0] * len(connections)
    order = list(range(len(connections)))
    passes = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not passes:
        first = passes * EXCHANGES % PACKED
        requests = packed[first : first + EXCHANGES]
        random.shuffle(order)
        for number in order:
            spent[number] += _slice(connections[number], requests, length)
        passes += 1
    print(json.dumps({"writes": passes * EXCHANGES * depth, "seconds": spent}))


def _slice(connection: socket, requests: Sequence[bytes], length: int) -> float:
    begin = time.perf_counter()
    for request in requests:
        exchange(connection, request, length)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
