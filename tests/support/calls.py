"""Raw connections for the module's calls: callers that wait for answers, and workers that a test plays by hand."""

from __future__ import annotations

import socket
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import hiredis

from geartrain.wire import pack
from support.waiting import wait_for

if TYPE_CHECKING:
    from geartrain.wire import Argument, Link

PATIENCE = 20
"""Seconds that a reply may take."""


_NOT_YET = object()


class Raw:
    """One connection, command by command; `received` holds the bytes that came with the last reply.

    Args:
        port: of a server on the loopback interface.
        protocol: 2 or 3.
    """

    def __init__(self, port: int, protocol: int = 2) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._reader = hiredis.Reader(notEnoughData=_NOT_YET)
        self._replies: deque[Any] = deque()
        self.received = b""
        if protocol == 3:
            self.call("HELLO", 3)
        self.id: int = self.call("CLIENT", "ID")

    def send(self, *words: Argument) -> None:
        """Send a command, and leave its reply for `receive`."""
        self._socket.sendall(pack(words))

    def receive(self) -> Any:
        """The next reply; an error reply as a value.

        Raises:
            EOFError: the server ended the connection.
        """
        if not self._replies:
            self.received = b""
        while not self._replies:
            self._take(self._socket.recv(1 << 20))
        return self._replies.popleft()

    def _take(self, data: bytes) -> None:
        if not data:
            raise EOFError(f"the server ended the connection after {self.received[:100]!r}")
        self.received += data
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not _NOT_YET:
            self._replies.append(reply)

    def receive_bytes(self) -> bytes:
        """The bytes of all replies that are still to come; nothing of them is parsed."""
        mark, taken = b"the end of it", b""
        self.send("ECHO", mark)
        end = b"$%d\r\n%b\r\n" % (len(mark), mark)
        while not taken.endswith(end):
            taken += self._socket.recv(1 << 20)
        return taken[: -len(end)]

    def call(self, *words: Argument) -> Any:
        """A command and its reply."""
        self.send(*words)
        return self.receive()

    def has_reply(self) -> bool:
        """Whether a reply has come; does not wait."""
        self._socket.setblocking(False)
        try:
            self._take(self._socket.recv(1 << 20))
        except BlockingIOError:
            pass
        finally:
            self._socket.settimeout(PATIENCE)
        return bool(self._replies)

    def close(self) -> None:
        """End the connection."""
        self._socket.close()


@dataclass(frozen=True, slots=True)
class Taken:
    """What GEARTRAIN.SERVE gave."""

    id: int
    lane: bytes
    db: int
    user: bytes
    protocol: int
    registration: bytes
    argv: list[bytes]


def serve(worker: Raw, *lanes: str, timeout: int = PATIENCE * 1000) -> Taken | None:
    """The next call of these lanes, or None after the time."""
    reply = worker.call("GEARTRAIN.SERVE", timeout, *lanes)
    if isinstance(reply, hiredis.HiredisError):
        raise reply
    return None if reply is None else Taken(*reply)


def answer(worker: Raw, call: Taken, text: bytes) -> Any:
    """Answer a call; the reply."""
    return worker.call("GEARTRAIN.ANSWER", call.id, text)


def figures(link: Link) -> dict[str, int]:
    """The fields `calls_...` of INFO geartrain."""
    lines = str(link.call("INFO", "geartrain")).splitlines()
    pairs = (line.removeprefix("geartrain_").split(":") for line in lines if line.startswith("geartrain_calls_"))
    return {name.removeprefix("calls_"): int(value) for name, value in pairs}


def wait_waiting(link: Link, count: int) -> None:
    """Wait until that many calls wait for a worker."""
    wait_for(lambda: figures(link)["waiting"] == count, message=f"{count} calls wait")


def wait_blocked(link: Link, raw: Raw) -> None:
    """Wait until the server has blocked that connection."""
    wait_for(lambda: _is_blocked(str(link.call("CLIENT", "LIST", "ID", raw.id))), message="the connection waits")


def _is_blocked(line: str) -> bool:
    flags = next((word.removeprefix("flags=") for word in line.split() if word.startswith("flags=")), "")
    return "b" in flags
