"""Worker processes of a cluster, and access to it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from geartrain.wire import Access, Endpoint, access
from geartrain.worker.membership import live
from support.waiting import wait_for
from support.workers import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType


class ClusterWorkers:
    """Worker processes of one cluster; a context manager that ends them.

    Args:
        url: the cluster.

    Attributes:
        link: access to the cluster.
        processes: those that were started.
    """

    def __init__(self, url: str) -> None:
        self.processes: list[WorkerProcess] = []
        self._url = url
        self._stack = ExitStack()
        self.link: Access = access(Endpoint(url))
        self._stack.callback(self.link.close)

    def start(self, count: int, env: Mapping[str, str] | None = None) -> None:
        """Start some, and wait until all that were started are known to live."""
        for _ in range(count):
            process = WorkerProcess(self._url, env=env)
            self._stack.callback(process.kill)
            self.processes.append(process)
        wait_for(lambda: {process.pid for process in self.processes} <= self.pids(), message="workers live")

    def pids(self) -> set[int]:
        """Those of the workers that live."""
        return {member.pid for member in live(self.link).values()}

    def keys(self, pattern: str) -> list[str]:
        """Names of keys, on all shards."""
        return [key for shard in self.link.shards for key in self.link.on(shard).call("KEYS", pattern)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
