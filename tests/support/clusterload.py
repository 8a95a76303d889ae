"""Load on a cluster, with effects that are written down elsewhere: what was acknowledged, and what came of it.

The effects are on a server of their own, outside of the cluster, because an effect that is written to a primary can be
lost with it, and that would say nothing about whether the function ran.
"""

from __future__ import annotations

import random
import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Self

from geartrain.errors import GeartrainError
from geartrain.wire import Endpoint, Link, access
from support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

SCRIPT = """
import os
import redis

CONNECTIONS = {}

def sink():
    if not CONNECTIONS:
        CONNECTIONS['sink'] = redis.Redis(port=SINK_PORT)
    return CONNECTIONS['sink']

def streamed(r):
    sink().rpush('effects:' + streamKey(), f"{r['n']} {os.getpid()}")

def keyed(r):
    sink().rpush('effects:' + r['key'], f"{r['value']} {os.getpid()}")

GB('StreamReader').foreach(streamed).register('load:stream:*', batch=5, duration=20, name='streams')
GB().foreach(keyed).register('load:key:*', eventTypes=['set'], snapshot=True, name='keys')
"""
"""To be submitted with SINK_PORT replaced."""

REPLICATION_MS = 1000
"""Milliseconds that a write may take to reach a replica; later ones do not count as acknowledged."""


class ClusterLoad:
    """Writes growing numbers to streams and keys, one after the other, and knows which of them cannot be lost.

    A number counts as acknowledged where the command was answered and a replica has it: others may be lost when a
    primary dies, whoever reads them.

    Args:
        url: the cluster.
        streams: names of streams; each gets entries `{"n": number}`.
        keys: names of strings, set to the number.
        seed: which of them comes next.

    Attributes:
        acknowledged: by name, in order.
    """

    def __init__(self, url: str, streams: Sequence[str], keys: Sequence[str], seed: random.Random) -> None:
        self.acknowledged: dict[str, list[int]] = {name: [] for name in (*streams, *keys)}
        self._streams = frozenset(streams)
        self._url = url
        self._stopping = threading.Event()
        self._troubles = 0
        self._threads = [
            threading.Thread(target=self._run, args=(list(names), random.Random(seed.random())), daemon=True)
            for names in (streams, keys)
        ]

    @property
    def total(self) -> int:
        """Numbers that were acknowledged so far."""
        return sum(map(len, self.acknowledged.values()))

    def wait(self, more: int, timeout: float = 60) -> None:
        """Wait until so many further numbers were acknowledged."""
        until = self.total + more
        wait_for(lambda: self.total >= until, timeout, f"{more} more writes")

    def _run(self, names: list[str], seed: random.Random) -> None:
        number = 0
        with access(Endpoint(self._url), timeout=3) as link:
            while not self._stopping.is_set():
                name = seed.choice(names)
                number += 1
                try:
                    if name in self._streams:
                        link.call("XADD", name, "*", "n", number)
                    else:
                        link.call("SET", name, number)
                    copies = link.on(link.shard_of(name)).call("WAIT", 1, REPLICATION_MS)
                except GeartrainError:
                    self._troubles += 1
                    self._stopping.wait(0.05)
                    continue
                if copies:
                    self.acknowledged[name].append(number)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)


def effects_of(sink: Link, name: str) -> list[tuple[int, int]]:
    """(number, process) of each call of the function, in order, repetitions included."""
    return [tuple(map(int, line.split())) for line in sink.call("LRANGE", f"effects:{name}", 0, -1)]  # type: ignore[misc]


def first_effects(sink: Link, name: str) -> dict[int, int]:
    """The process that was the first to execute each number, in the order in which that happened."""
    found: dict[int, int] = {}
    for number, pid in effects_of(sink, name):
        found.setdefault(number, pid)
    return found


def missing(sink: Link, acknowledged: dict[str, list[int]]) -> dict[str, list[int]]:
    """What was acknowledged and has no effect, by name."""
    found = {name: sorted(set(numbers) - first_effects(sink, name).keys()) for name, numbers in acknowledged.items()}
    return {name: numbers for name, numbers in found.items() if numbers}


def out_of_order(sink: Link, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """The first two numbers whose first effects came in the wrong order, by name."""
    found = {}
    for name in names:
        wrong = next((pair for pair in pairwise(first_effects(sink, name)) if pair[0] > pair[1]), None)
        if wrong is not None:
            found[name] = wrong
    return found


def owner_changes(sink: Link, name: str) -> int:
    """How often another process went on with what comes next: with two owners at the same time, again and again."""
    return sum(before != after for before, after in pairwise(first_effects(sink, name).values()))
