"""A client that writes without a pause, in a thread, and knows what was acknowledged."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from geartrain.errors import ServerUnavailable
from geartrain.wire import Endpoint, ErrorReply, Link, pack
from support.waiting import wait_for


class Writer:
    """Sets keys `<name>:<number>` to their number, a few at a time.

    It ends at `stop`, and where the server has gone or is no primary any more.

    Args:
        url: the server.
        name: what its keys begin with.
        depth: commands that are under way at once.

    Attributes:
        sent: keys that may have been written.
        acknowledged: keys whose SET was answered.
    """

    def __init__(self, url: str, name: str = "w", depth: int = 16) -> None:
        self.sent = 0
        self.acknowledged = 0
        self._name = name
        self._depth = depth
        self._stopping = threading.Event()
        self._link = Link(Endpoint(url), timeout=10)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def key(self, number: int) -> bytes:
        """The key of a number."""
        return b"%s:%d" % (self._name.encode(), number)

    def wait(self, more: int) -> None:
        """Wait until so many further writes were acknowledged."""
        until = self.acknowledged + more
        wait_for(lambda: self.acknowledged >= until or not self._thread.is_alive(), 30)

    def stop(self) -> None:
        """Stop writing, and wait until all is answered.

        Raises:
            BaseException: what was wrong, apart from a server that has gone.
        """
        self._stopping.set()
        self._thread.join(30)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stopping.is_set() and self._write():
                pass
        except ServerUnavailable:
            pass
        except BaseException as error:  # noqa: BLE001 - raised by `stop`
            self._error = error
        finally:
            self._link.close()

    def _write(self) -> bool:
        """A few keys; whether the server takes writes."""
        numbers = range(self.sent, self.sent + self._depth)
        self.sent += self._depth
        for number in numbers:
            self._link.send(pack(("SET", self.key(number), number)))
        for _ in numbers:
            reply = self._link.replies(1)[0]
            if isinstance(reply, ErrorReply) and reply.text.startswith("READONLY"):
                return False
            assert reply == "OK", f"a SET was answered {reply!r}"
            self.acknowledged += 1
        return True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
