"""The server's limit for one client: `XREAD` replies taken from the socket and thrown away.

    python -m benchmarks.peers.raw_xread URL STREAM COUNT SECONDS

Prints JSON: {"entries": N, "seconds": S}. A `PING` after each `XREAD` shows where the reply ends; the next id is found
from the end of the reply, so that nothing is parsed. At the end of the stream it begins anew. The stream must hold a
multiple of COUNT entries, and one reply less than 64 MB.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from urllib.parse import urlsplit

END = b"+PONG\r\n"
EMPTY = (b"*-1\r\n", b"_\r\n")
LARGEST = 64 << 20
ENTRY = b"*2\r\n$"
ID = re.compile(rb"\d+\r\n(\d+-\d+)\r\n")


def main() -> None:
    """Read for so many seconds."""
    url, stream, count, seconds = sys.argv[1:]
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port or 6379))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = bytearray(LARGEST)
    last, entries = b"0-0", 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < float(seconds):
        size = _exchange(connection, buffer, stream.encode(), count.encode(), last)
        if buffer[: size - len(END)] in EMPTY:
            last = b"0-0"
            continue
        last = _last_id(buffer, size)
        entries += int(count)
    print(json.dumps({"entries": entries, "seconds": time.perf_counter() - begin}))


def _exchange(connection: socket.socket, buffer: bytearray, stream: bytes, count: bytes, last: bytes) -> int:
    """One read; the bytes of its reply in `buffer`."""
    request = (b"XREAD", b"COUNT", count, b"STREAMS", stream, last)
    packed = b"*%d\r\n" % len(request) + b"".join(b"$%d\r\n%b\r\n" % (len(item), item) for item in request)
    connection.sendall(packed + b"PING\r\n")
    view, size = memoryview(buffer), 0
    while not buffer.endswith(END, 0, size):
        size += connection.recv_into(view[size:])
    return size


def _last_id(buffer: bytearray, size: int) -> bytes:
    """The id of the last entry: `*2 $<length> <id>` comes before its fields, which may begin with `*2` too."""
    end = size
    while True:
        end = buffer.rindex(ENTRY, 0, end)
        if found := ID.match(buffer, end + len(ENTRY), size):
            return found[1]


if __name__ == "__main__":
    main()
