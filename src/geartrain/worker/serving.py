"""Serves lanes of one server: a thread that takes calls from the server module, one after the other, and answers them.

    GEARTRAIN.SERVE ──a call──> handler ──GEARTRAIN.ANSWER, whose reply is the next call──> handler ──> ...

What is taken is answered, also while the thread is asked to stop; what comes after that goes back into its lane.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from geartrain.errors import CommandError, GeartrainError, ServerUnavailable
from geartrain.text import to_bytes
from geartrain.wire import Argument, Endpoint, ErrorReply, Link, pack, raise_for
from geartrain.wire.endpoint import COMMAND_TIMEOUT
from geartrain.worker.policy import backoff

logger = logging.getLogger("geartrain.worker")

WAIT_MS = 1000
"""Milliseconds that the server keeps us waiting for a call; a stop waits as long."""

_REFUSED_AGAIN = 5.0
"""Seconds until a server is asked again that has no module, or lets us not serve."""


_STEADY = 10.0
"""Seconds after which a connection that is lost is no further failure in a row."""


class Call(NamedTuple):
    """A call, as the module hands it over.

    Attributes:
        id: by which it is answered.
        lane: that it waited in.
        database: the caller's.
        user: the caller's ACL user.
        protocol: the version of RESP that the caller speaks.
        registration: the id of the registration that it is for; '' where for none.
        args: the caller's command with its arguments; bytes where they are no UTF-8.
    """

    id: int
    lane: str
    database: int
    user: str
    protocol: int
    registration: str
    args: list[str | bytes]


class Handler(Protocol):
    """Answers calls; made, called and closed in the serving thread."""

    def __call__(self, call: Call) -> bytes:
        """The reply, in the text of RESP3; raises nothing."""

    def close(self) -> None:
        """No call comes any more."""


class Serving:
    """See the module's docstring.

    Args:
        endpoint: the server; of a cluster, one node.
        name: of the thread and its connection.
        lanes: that it serves.
        make: makes the handler.
        spare: asked now and then while nothing is to be done: whether this thread is too many, and must end.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        name: str,
        lanes: Sequence[str],
        make: Callable[[], Handler],
        spare: Callable[[], bool] = lambda: False,
    ) -> None:
        self._endpoint = endpoint
        self._name = name
        self._make = make
        self._spare = spare
        self._wish: tuple[Argument, ...] = (WAIT_MS, *lanes)
        self._serve = pack(("GEARTRAIN.SERVE", *self._wish))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"geartrain-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether it serves no more."""
        return self._stopping.is_set() and not self._thread.is_alive()

    def request_stop(self) -> None:
        """Take nothing more; returns at once."""
        self._stopping.set()

    def join(self, deadline: float) -> bool:
        """Wait for the end, until a time of `time.monotonic`; whether it has come."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        handler = self._make()
        try:
            keep_serving(self._endpoint, self._name, self._stopping, lambda link: self._take(link, handler))
        finally:
            handler.close()

    def _take(self, link: Link, handler: Handler) -> None:
        """Serve on one connection, until it is lost or we stop."""
        answered = False
        link.channel.wait_in_kernel(COMMAND_TIMEOUT)
        link.send(self._serve)
        while True:
            reply = link.replies(1)[0]
            if isinstance(reply, ErrorReply):
                if not answered:
                    raise_for(reply, ("GEARTRAIN.SERVE",))
                logger.error("an answer was refused, which is a bug in Geartrain: %s", reply.text)
            elif reply is not None:
                call = Call._make(reply)
                if self._stopping.is_set():
                    link.call("GEARTRAIN.RETURN", call.id)
                    return
                link.send(pack(("GEARTRAIN.ANSWER", call.id, handler(call), *self._wish)))
                answered = True
                continue
            elif self._stopping.is_set():
                return
            elif self._spare():
                self._stopping.set()
                return
            link.send(self._serve)
            answered = False


def keep_serving(endpoint: Endpoint, name: str, stopping: threading.Event, serve: Callable[[Link], object]) -> None:
    """Have a connection served until the stop; a new one, whenever it was lost.

    Args:
        endpoint: the server.
        name: of the connection, behind `geartrain:`.
        stopping: set where it is to end.
        serve: takes calls on a connection; it returns at the stop, and raises where the connection is lost.
    """
    failures = 0
    while not stopping.is_set():
        began = time.monotonic()
        try:
            with Link(endpoint, f"geartrain:{name}") as link:
                serve(link)
        except ServerUnavailable:
            # The worker's main thread says so in the log.
            failures = failures + 1 if time.monotonic() < began + _STEADY else 1
            stopping.wait(backoff(failures))
        except GeartrainError as error:
            failures = 0
            # Without the module there are no calls, which is no trouble.
            if not (isinstance(error, CommandError) and error.is_unknown):
                logger.warning("no calls are served here: %s", error)
            stopping.wait(_REFUSED_AGAIN)


def name_of(argument: str | bytes) -> bytes:
    """A command's name, as it is compared."""
    return to_bytes(argument).lower()
