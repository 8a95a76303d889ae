"""Work that comes at an even pace, and the time until its effect."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import redis

from benchmarks.stage.watching import wait_for

EFFECT = """
local now = redis.call('TIME')
return redis.call('RPUSH', KEYS[1], string.format('%d', now[1] * 1000000 + now[2] - ARGV[1]))
"""
"""The effect that is measured: the server's clock minus the producer's (ARGV, microseconds), kept in a list (KEYS)."""

Add = Callable[[Any, int], object]
"""Writes one piece of work to a pipeline, with the producer's clock."""


class Pace:
    """A producer.

    Args:
        client: of the server.
        results: the list in which effects leave their delays, microseconds.
        rate: pieces of work a second.
    """

    def __init__(self, client: redis.Redis, results: str, rate: int) -> None:
        self._client = client
        self._results = results
        self._rate = rate

    def delays(self, count: int, add: Add) -> list[float]:
        """Add pieces of work; what each took, in microseconds. The first ones wake everybody up and do not count.

        Raises:
            Broken: the effects did not come.
        """
        warm = self._rate // 4
        total = 1 + warm + count
        try:
            self._send(add, 1)
            wait_for(lambda: bool(self._client.llen(self._results)), "the first effect")
            self._evenly(add, warm + count)
            wait_for(lambda: self._client.llen(self._results) == total, f"{total} effects")
            return [float(value) for value in self._client.lrange(self._results, 1 + warm, -1)]
        finally:
            self._client.delete(self._results)

    def _evenly(self, add: Add, count: int) -> None:
        begin, sent = time.perf_counter(), 0
        while sent < count:
            due = min(count, int((time.perf_counter() - begin) * self._rate) + 1)
            if due > sent:
                self._send(add, due - sent)
                sent = due
            time.sleep(max(0.0, begin + sent / self._rate - time.perf_counter()))

    def _send(self, add: Add, count: int) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for _ in range(count):
            add(pipeline, time.time_ns() // 1000)
        pipeline.execute()
