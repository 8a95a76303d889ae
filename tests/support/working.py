"""Workers in threads of the test process: quick to start, and a test sees what they do through the server."""

from __future__ import annotations

import contextlib
import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from geartrain import Client, Dialect, execute
from geartrain.config import WorkerSettings
from geartrain.wire import Access, Endpoint, access
from geartrain.worker.worker import Worker
from support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from geartrain import GearsBuilder
    from geartrain.client import RegistrationInfo

FAST = WorkerSettings(
    threads=4, lease_ttl=3.0, commit_interval=0.01, poll_interval=0.05, scan_interval=0.1, block=0.5, stop_deadline=5.0
)
"""Everything is noticed within a tenth of a second."""

SEEN = "seen"
"""The list that steps write to (`execute('rpush', 'seen', ...)`) and `Workplace.seen` reads."""

RELEASE = "release"
"""The key that ends `until_released`."""

_START = 10.0
_STOP = 15.0


def until_released() -> None:
    """In a step: go on until the test sets RELEASE."""
    wait_for(lambda: execute("EXISTS", RELEASE), 60, "the release")


class RunningWorker:
    """A worker in a thread of its own.

    Args:
        url: the server.
        settings: its tunables.
    """

    def __init__(self, url: str, settings: WorkerSettings) -> None:
        self._ready = threading.Event()
        self.worker = Worker(Endpoint(url), settings, on_ready=self._ready.set)
        # What it raises fails the test: pytest turns an unhandled exception of a thread into an error.
        self._thread = threading.Thread(target=self.worker.run, name="worker", daemon=True)
        self._thread.start()

    @property
    def id(self) -> str:
        """Its id, as leases hold it."""
        return self.worker.id

    @property
    def running(self) -> bool:
        """Whether its main thread lives."""
        return self._thread.is_alive()

    def code_versions(self, registration: str) -> set[int]:
        """The versions of the code that its partitions of a registration run."""
        partitions = list(self.worker._ownership.open.values())
        return {item.deployment.registration.code_version for item in partitions if item.key[0] == registration}

    def buffered(self) -> dict[bytes, int]:
        """Entries that it has read and not begun with, by stream."""
        return {item.key[1]: len(item._buffer) for item in list(self.worker._ownership.open.values())}

    @property
    def listens_for(self) -> set[str]:
        """The registrations whose key events it has been asked to listen for."""
        return {listener.partition.key[0] for listener in self.worker._events._listeners}

    @property
    def closing(self) -> bool:
        """Whether it is giving partitions up."""
        return self.worker._ownership.closing

    def wait_ready(self) -> Self:
        """Wait until its registrations are live."""
        assert self._ready.wait(_START), f"worker {self.id} was not ready within {_START:g} s"
        return self

    def stop(self) -> None:
        """Stop it in good order. May be called again."""
        self.worker.stop()
        self._thread.join(_STOP)
        assert not self.running, f"worker {self.id} did not stop within {_STOP:g} s"


class Workplace:
    """A server or a cluster, a client, a connection, and workers. A context manager that stops the workers.

    Args:
        url: an empty server, or a node of an empty cluster.

    Attributes:
        client: for sessions and registrations.
        link: for the test's own commands.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._stack = ExitStack()
        self.client = self._stack.enter_context(Client(url))
        self.link: Access = access(Endpoint(url))
        self._stack.callback(self.link.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def register(
        self,
        builder: GearsBuilder,
        *args: Any,
        session: str = "test",
        dialect: Dialect = Dialect.GEARTRAIN,
        **kwargs: Any,
    ) -> str:
        """Submit a session of one registration; its id. The arguments after the builder are those of `register()`."""
        with self.client.session(session, dialect) as outcome:
            builder.register(*args, **kwargs)
        return outcome.registered[0]

    def begin(self, **settings: Any) -> RunningWorker:
        """Start a worker with these settings instead of those of FAST; returns at once."""
        worker = RunningWorker(self.url, replace(FAST, **settings))
        self._stack.callback(worker.stop)
        return worker

    def start(self, **settings: Any) -> RunningWorker:
        """Start a worker and wait until its registrations are live."""
        return self.begin(**settings).wait_ready()

    def add(self, stream: str | bytes, *fields: str | bytes | int, entry_id: str = "*") -> str:
        """Add an entry to a stream (`a 1`, where no fields are given); its id."""
        reply: str = self.link.call("XADD", stream, entry_id, *(fields or ("a", 1)))
        return reply

    def seen(self, count: int, key: str = SEEN) -> list[Any]:
        """Wait until the list has `count` items; all of it."""

        def items() -> list[Any] | None:
            found: list[Any] = self.link.call("LRANGE", key, 0, -1)
            return found if len(found) >= count else None

        with contextlib.suppress(AssertionError):
            wait_for(items)
        found: list[Any] = self.link.call("LRANGE", key, 0, -1)
        assert len(found) >= count, f"the list {key!r} has {len(found)} items, not {count}: {found!r:.2000}"
        return found

    def info(self, registration: str) -> RegistrationInfo:
        """How a registration fares."""
        return next(item for item in self.client.registrations() if item.id == registration)

    def wait_info(
        self, registration: str, condition: Callable[[RegistrationInfo], object], timeout: float = 10
    ) -> RegistrationInfo:
        """Wait until what is known about a registration fulfils the condition; what is known then."""

        def fulfilled() -> RegistrationInfo | None:
            found = self.info(registration)
            return found if condition(found) else None

        try:
            found = wait_for(fulfilled, timeout)
        except AssertionError as error:
            raise AssertionError(f"not within {timeout:g} s: {self.info(registration)}") from error
        assert found is not None
        return found

    def wait_done(self, registration: str, triggered: int = 1) -> RegistrationInfo:
        """Wait until all entries are executed and committed, and the statistics tell of so many executions."""
        return self.wait_info(registration, lambda info: info.lag == 0 and info.triggered >= triggered)

    def groups(self, stream: str | bytes) -> dict[str, dict[str, Any]]:
        """The stream's consumer groups by name, as XINFO GROUPS tells."""
        found = [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in self.link.call("XINFO", "GROUPS", stream)]
        return {str(item["name"]): item for item in found}

    def own_keys(self) -> set[str | bytes]:
        """Geartrain's keys that hold something about registrations."""
        general = {"version", "workers", "sessions", "registrations", "status"}
        found: list[str | bytes] = self.link.call("KEYS", "geartrain:*")
        return {key for key in found if str(key).rpartition(":")[2] not in general and ":wake:" not in str(key)}
