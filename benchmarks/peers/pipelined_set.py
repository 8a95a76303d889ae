"""A client that writes as fast as the server takes it, or one write at a time.

    python -m benchmarks.peers.pipelined_set URL SECONDS DEPTH

Prints JSON: {"writes": N, "seconds": S, "p50": US, "p99": US}. Each round sends DEPTH `SET`s of 100,000 different
keys `user:NNNNNNN` (10 bytes of value) and waits for all replies; p50 and p99 are of the rounds, in microseconds. The
commands are packed beforehand, and replies are counted, not parsed.
"""

from __future__ import annotations

import json
import random
import socket
import sys
import time
from urllib.parse import urlsplit

KEYS = 100_000
ROUNDS = 20
"""Different rounds that are packed beforehand."""

OK = b"+OK\r\n"


def main() -> None:
    """Write for so many seconds."""
    url, seconds, depth = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    connection = connect(url)
    packed = [b"".join(set_command(random.randrange(KEYS)) for _ in range(depth)) for _ in range(ROUNDS)]
    times = []
    begin = now = time.perf_counter()
    while now - begin < seconds:
        started = now
        exchange(connection, packed[len(times) % ROUNDS], len(OK) * depth)
        now = time.perf_counter()
        times.append(now - started)
    ordered = sorted(times)
    print(
        json.dumps({
            "writes": len(times) * depth,
            "seconds": now - begin,
            "p50": 1e6 * ordered[len(ordered) // 2],
            "p99": 1e6 * ordered[len(ordered) * 99 // 100],
        })
    )  # fmt: skip


def set_command(number: int) -> bytes:
    """A packed `SET`."""
    return b"*3\r\n$3\r\nSET\r\n$12\r\nuser:%07d\r\n$10\r\nxxxxxxxxxx\r\n" % number


def connect(url: str) -> socket.socket:
    """A connection that sends at once."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port or 6379))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchange(connection: socket.socket, request: bytes, length: int) -> None:
    """Send, and wait for so many bytes of replies."""
    connection.sendall(request)
    while length > 0:
        received = len(connection.recv(1 << 16))
        if not received:
            raise ConnectionError("the server closed the connection")
        length -= received


if __name__ == "__main__":
    main()
