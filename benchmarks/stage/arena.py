"""What measurements of streams share: one server, and streams of orders to drain.

Whoever drains a stream does it as a consumer group on a copy of the same stream, in a process of its own, and is
watched from outside: the group's progress is what counts. So nobody measures himself, and start-up time does not count:
the clock starts when the first progress is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Self

import redis

from benchmarks.stage import programs, watching, workers
from benchmarks.suite import Sizes
from geartrain import Client, keys
from geartrain.server import EmbeddedServer
from geartrain.wire import Endpoint, Link
from geartrain.wire.link import PIPELINE

SOURCE = "bench:source"
"""The stream that copies are made of, where nothing else is said."""

GROUP = "bench"
"""The consumer group of those that are not Geartrain."""

RAW = "raw XREAD COUNT 1000, nothing parsed"
"""The contestant that shows what the server gives."""

_PARKED = "GearsBuilder('StreamReader').foreach(lambda x: None).register('bench:parked')"
"""What the worker has while others are measured: a registration on a stream that never exists."""

Fields = Callable[[int], Sequence[str]]
"""The fields of an entry, by its number: name, value, name, value, ..."""


class Arena:
    """A server with the source stream, and worker processes. A context manager.

    Args:
        sizes: the entries of the source stream, and the seconds that one measurement lasts.
        processes: workers; 0: none, see `workers.working`.

    Attributes:
        redis: a client of the server.
        client: a Geartrain client of it.
        pids: the worker processes.
    """

    def __init__(self, sizes: Sizes, processes: int = 1) -> None:
        self.entries = sizes.entries
        self.window = sizes.window
        self._processes = processes
        self._numbers = count(1)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.server = stack.enter_context(EmbeddedServer.start(module=False))
            self.url = self.server.url
            self.redis = redis.Redis.from_url(self.url, decode_responses=True)
            stack.callback(self.redis.close)
            self.client = stack.enter_context(Client(self.url))
            self.fill(SOURCE, self.entries, order)
            self.pids = stack.enter_context(workers.working(self.url, self._processes))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # -- streams -------------------------------------------------------------------------------------------------------

    def fill(self, name: str, entries: int, fields: Fields) -> None:
        """Make a stream, with ids that the server makes."""
        with Link(Endpoint(self.url)) as link:
            for start in range(0, entries, PIPELINE):
                numbers = range(start, min(start + PIPELINE, entries))
                link.pipeline([("XADD", name, "*", *fields(number)) for number in numbers])

    @contextmanager
    def stream(self) -> Iterator[str]:
        """The name of a stream that does not exist yet; `pour` fills it. It is removed afterwards."""
        name = f"bench:orders:{next(self._numbers)}"
        try:
            yield name
        finally:
            self.redis.unlink(name)

    def pour(self, name: str, source: str = SOURCE) -> None:
        """Make `name` a copy of the source, in one step."""
        self.redis.copy(source, name, replace=True)

    # -- drainers ------------------------------------------------------------------------------------------------------

    @contextmanager
    def registered(self, script: str) -> Iterator[list[str]]:
        """Have these registrations, and no others; gives their ids."""
        outcome = self.client.execute(script, session="bench")
        try:
            yield outcome.registered
        finally:
            self.client.execute(_PARKED, session="bench")

    def registration_rate(self, script: str, source: str = SOURCE) -> float:
        """Records a second of the one registration that `script` makes of a stream, written `{stream}` in it."""
        with self.stream() as name, self.registered(script.replace("{stream}", name)) as ids:
            self.pour(name, source)
            return self.rate([name], keys.group(ids[0]).decode())

    def peer_rate(self, module: str, *args: object, source: str = SOURCE) -> float:
        """Records a second of a peer that takes a stream, a group and `args`."""
        with self.stream() as name:
            self.pour(name, source)
            self.redis.xgroup_create(name, GROUP, id="0")
            with programs.running(module, self.url, name, GROUP, *args) as alive:
                return self.rate([name], GROUP, alive=alive)

    def raw_rate(self, source: str = SOURCE) -> float:
        """The server's limit for one client: it has no group to be watched, and counts by itself."""
        result = programs.answer("raw_xread", self.url, source, 1000, self.window)
        return float(result["entries"] / result["seconds"])

    def rate(
        self,
        streams: Sequence[str],
        group: str,
        *,
        skip: float = 0.0,
        begun: Callable[[], object] = lambda: None,
        alive: Callable[[], bool] = lambda: True,
    ) -> float:
        """Entries a second that a group gets done: read, and not pending. See `watching.rate`."""
        total = sum(self.redis.xlen(stream) for stream in streams)
        return watching.rate(
            lambda: self.progress(streams, group), total, self.window, skip=skip, begun=begun, alive=alive
        )

    def progress(self, streams: Sequence[str], group: str) -> int:
        """Entries of the streams that the group has done."""
        pipeline = self.redis.pipeline(transaction=False)
        for stream in streams:
            pipeline.xinfo_groups(stream)
        replies = pipeline.execute(raise_on_error=False)
        return sum(
            int(info["entries-read"] or 0) - int(info["pending"])
            for reply in replies
            if not isinstance(reply, redis.ResponseError)
            for info in reply
            if info["name"] == group
        )


def order(number: int) -> Sequence[str]:
    """Three fields, 60 bytes with their names."""
    return (
        "order", f"{number:09d}", "customer", f"c-{number % 5000:06d}", "total", f"{number % 10000 / 100:08.2f}",
    )  # fmt: skip
