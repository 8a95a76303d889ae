"""What all measurements share: one server, one worker process, and one stream of orders to drain.

Whoever drains a stream does it as a consumer group on a copy of the same stream, in a process of its own, and is
watched from outside: the group's progress is what counts. So nobody measures himself, and start-up time does not count:
the clock starts when the first progress is seen.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Self

import redis

from geartrain import Client, keys
from geartrain.config import WorkerSettings
from geartrain.server import EmbeddedServer
from geartrain.wire import Endpoint, Link
from geartrain.wire.link import PIPELINE
from geartrain.worker.supervisor import Supervisor

ROOT = Path(__file__).resolve().parent.parent

SOURCE = "bench:source"
"""The stream that all copies are made of."""

GROUP = "bench"
"""The consumer group of those that are not Geartrain."""

_PARKED = "GearsBuilder('StreamReader').foreach(lambda x: None).register('bench:parked')"
"""What the worker has while others are measured: a registration on a stream that never exists."""

_LOOK = 0.02
"""Seconds between two looks at somebody's progress: often for windows of seconds, too rare to cost anything."""

_PATIENCE = 60.0
"""Seconds that anything may take before a measurement counts as broken."""


class Broken(Exception):
    """A measurement could not be made."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A program of `benchmarks.peers`: its module's name and its arguments behind the URL."""

    module: str
    args: tuple[str, ...]


class Arena:
    """A server with the source stream, and a worker process. A context manager.

    Args:
        entries: of the source stream.
        window: seconds that one measurement lasts.

    Attributes:
        redis: a client of the server.
        client: a Geartrain client of it.
        pid: the worker process.
    """

    def __init__(self, entries: int, window: float) -> None:
        self.entries = entries
        self.window = window
        self._numbers = count(1)

    def __enter__(self) -> Self:
        self.server = EmbeddedServer.start(module=False)
        try:
            self.url = self.server.url
            self.redis = redis.Redis.from_url(self.url, decode_responses=True)
            self.client = Client(self.url)
            self._fill()
            self._supervisor = Supervisor(self.url, 1, WorkerSettings(), on_output=show_trouble)
            self._supervisor.start()
            wait_for(lambda: bool(self._supervisor.wait_ready(0)), "the worker")
        except BaseException:
            self.server.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._supervisor.stop()
        self.client.close()
        self.redis.close()
        self.server.stop()

    @property
    def pid(self) -> int:
        """The worker process."""
        return self._supervisor.pids[0]

    def _fill(self) -> None:
        """Orders of three fields, 60 bytes, with ids made by the server."""
        with Link(Endpoint(self.url)) as link:
            for start in range(0, self.entries, PIPELINE):
                link.pipeline([_order(number) for number in range(start, min(start + PIPELINE, self.entries))])

    # -- streams -------------------------------------------------------------------------------------------------------

    @contextmanager
    def stream(self) -> Iterator[str]:
        """The name of a stream that does not exist yet; `pour` fills it. It is removed afterwards."""
        name = f"bench:orders:{next(self._numbers)}"
        try:
            yield name
        finally:
            self.redis.unlink(name)

    def pour(self, name: str) -> None:
        """Make `name` a copy of the source, in one step."""
        self.redis.copy(SOURCE, name, replace=True)

    # -- drainers ------------------------------------------------------------------------------------------------------

    @contextmanager
    def registered(self, script: str) -> Iterator[list[str]]:
        """Have these registrations, and no others; gives their ids."""
        outcome = self.client.execute(script, session="bench")
        try:
            yield outcome.registered
        finally:
            self.client.execute(_PARKED, session="bench")

    @contextmanager
    def peer(self, peer: Peer) -> Iterator[subprocess.Popen[str]]:
        """Have a peer's process running."""
        command = [sys.executable, "-m", f"benchmarks.peers.{peer.module}", self.url, *peer.args]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def registration_rate(self, script: str) -> float:
        """Records a second of the one registration that `script` makes of a stream, written `{stream}` in it."""
        with self.stream() as name, self.registered(script.replace("{stream}", name)) as ids:
            self.pour(name)
            return self.rate(name, keys.group(ids[0]).decode())

    def peer_rate(self, module: str, *args: str) -> float:
        """Records a second of a peer that takes a stream, a group and `args`."""
        with self.stream() as name:
            self.pour(name)
            self.redis.xgroup_create(name, GROUP, id="0")
            with self.peer(Peer(module, (name, GROUP, *args))) as process:
                return self.rate(name, GROUP, alive=lambda: process.poll() is None)

    def rate(self, stream: str, group: str, alive: Callable[[], bool] = lambda: True) -> float:
        """Entries a second that a group gets done: read, and not pending.

        From the first progress that is seen to the last one within the window, or to the end of the stream.

        Raises:
            Broken: no progress, or too little to measure.
        """
        deadline = time.monotonic() + _PATIENCE
        first = last = (0.0, 0)
        while alive() and time.monotonic() < deadline:
            done, now = self.progress(stream, group), time.perf_counter()
            if done != last[1]:
                last = (now, done)
                first = first if first[1] else last
            if done >= self.entries or (first[1] and now - first[0] >= self.window):
                break
            time.sleep(_LOOK)
        if last[0] <= first[0]:
            raise Broken(f"{group}: no progress to measure on {stream}: {first} .. {last}")
        return (last[1] - first[1]) / (last[0] - first[0])

    def progress(self, stream: str, group: str) -> int:
        """Entries of the stream that the group has done."""
        try:
            groups = self.redis.xinfo_groups(stream)
        except redis.ResponseError:
            return 0
        for info in groups:
            if info["name"] == group:
                return int(info["entries-read"] or 0) - int(info["pending"])
        return 0


def wait_for(ready: Callable[[], bool], what: str) -> float:
    """Wait until `ready`; the seconds that it took.

    Raises:
        Broken: it took too long.
    """
    begin = time.monotonic()
    while not ready():
        if time.monotonic() - begin > _PATIENCE:
            raise Broken(f"{what}: not within {_PATIENCE:g} s")
        time.sleep(_LOOK)
    return time.monotonic() - begin


def _order(number: int) -> tuple[str, ...]:
    fields = ("order", f"{number:09d}", "customer", f"c-{number % 5000:06d}", "total", f"{number % 10000 / 100:08.2f}")
    return ("XADD", SOURCE, "*", *fields)


def show_trouble(line: str) -> None:
    """Print what a worker says of failures."""
    # A registration that goes takes its leases along, which the worker notes.
    if " INFO " not in line and "lost the lease" not in line:
        print(f"worker: {line}", file=sys.stderr)
