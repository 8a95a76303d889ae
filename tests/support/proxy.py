"""A TCP proxy that a test can stop: it stands between a client and a server and plays the network that fails.

flowing ──pause()──> paused ──resume()──> flowing     connections stay open, no byte passes
flowing ──cut()────> cut    ──resume()──> flowing     connections are reset, new ones too
"""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_CHUNK = 65536

_CLOSE_IS_RST = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 seconds: `close` sends RST, as a network that lost the connection would, instead of an orderly FIN."""


class State(enum.Enum):
    """What the network does."""

    FLOWING = "flowing"
    PAUSED = "paused"
    CUT = "cut"
    CLOSED = "closed"


_OPEN = frozenset({State.FLOWING, State.PAUSED})


class Proxy:
    """Passes bytes between clients and a server on 127.0.0.1. A context manager that closes it.

    Args:
        target: the server's port.

    Attributes:
        port: where clients connect to.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._changed = threading.Condition()
        self._state = State.FLOWING
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._acceptor.start()

    @property
    def url(self) -> str:
        """Where clients connect to, as a URL."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        with self._changed:
            return (len(self._sockets) + 1) // 2

    def pause(self) -> None:
        """Let no byte pass in either direction; connections stay open, new ones are taken but get no answer."""
        self._set(State.PAUSED)

    def cut(self) -> None:
        """Reset all connections, and each new one, until `resume`."""
        self._set(State.CUT)
        self._reset_all()

    def resume(self) -> None:
        """Let bytes pass again, first those that were held back."""
        self._set(State.FLOWING)

    def close(self) -> None:
        """Reset all connections and stop listening."""
        self._set(State.CLOSED)
        # Wakes the acceptor, which then sees the state.
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            self._acceptor.join()
        self._listener.close()
        self._reset_all()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _set(self, state: State) -> None:
        with self._changed:
            self._state = state
            self._changed.notify_all()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            with self._changed:
                state = self._state
            if state in _OPEN:
                self._connect(client)
            else:
                _refuse(client)
            if state is State.CLOSED:
                return

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            _refuse(client)
            return
        with self._changed:
            self._sockets |= {client, server}
            # A cut that came since the connection was taken has not seen it.
            passing = self._state in _OPEN
        for source, sink in ((client, server), (server, client)):
            thread = threading.Thread(target=self._pump, args=(source, sink), daemon=True)
            self._threads.append(thread)
            thread.start()
        if not passing:
            self._reset_all()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                with self._changed:
                    self._changed.wait_for(lambda: self._state is not State.PAUSED)
                    if self._state is not State.FLOWING:
                        break
                sink.sendall(data)
        # Wakes the other direction's pump; each pump closes only what it reads from, so no descriptor is used after it.
        _reset(source)
        _reset(sink)
        with self._changed:
            self._sockets.discard(source)
        source.close()

    def _reset_all(self) -> None:
        with self._changed:
            for each in self._sockets:
                _reset(each)


def _reset(each: socket.socket) -> None:
    """End a connection that a pump reads from, without sending what is still held back; the pump closes it."""
    with contextlib.suppress(OSError):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_IS_RST)
        each.shutdown(socket.SHUT_RDWR)


def _refuse(client: socket.socket) -> None:
    """End a connection that nobody reads from yet."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_IS_RST)
    client.close()
