"""What the tasks of all task queues do: count, and now and then tell the server how far they have come."""

from __future__ import annotations

import threading
import time
from itertools import count

import redis

DONE = "bench:done"
"""The key that says how many tasks this process has done."""

_EVERY = 0.05
"""Seconds between two reports: as often as Geartrain commits."""

_numbers = count(1)
_last = [0]


def done() -> None:
    """A task is done. From any thread."""
    _last[0] = next(_numbers)


def report(url: str) -> None:
    """Report from a thread of its own from now on, until the process ends."""
    client = redis.Redis.from_url(url)
    client.ping()

    def repeat() -> None:
        while True:
            client.set(DONE, _last[0])
            time.sleep(_EVERY)

    threading.Thread(target=repeat, daemon=True).start()
