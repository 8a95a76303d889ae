"""One connection to one server: packed commands out, parsed replies in.

redis-py makes the connection (TLS, login, database); then its socket is read and written here, with hiredis packing and
parsing, because redis-py's own path costs 3 to 5 us for each reply and we read up to a million records a second. This
is the only module that touches redis-py's private `_sock`.

A channel that failed stays failed: whatever was under way is lost, and `Link` makes a new one.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NoReturn, Protocol

import hiredis

from geartrain.errors import CommandError, ServerUnavailable
from geartrain.extension import extension
from geartrain.text import HANDLER, note, restore, withdraw

Argument = str | bytes | int | float
Command = Sequence[Argument]

_CHUNK = 256 * 1024
"""Bytes asked of the socket at once."""

_NOT_YET = ...
"""What parsers give where a reply has not come wholly: nothing that a reply can be, as False is one."""


def _left(_command: Command) -> None:
    """What packs nothing."""


_pack_any: Callable[[tuple[Argument, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]
_pack: Callable[[Command], bytes | None] = _left if extension is None else extension.pack
"""The usual commands, at a quarter of the price; None: it has words that only the other one knows, or refuses."""

UNAVAILABLE = frozenset({"LOADING", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "TRYAGAIN", "UNBLOCKED"})
"""Error codes with which a server says that it cannot serve now."""


REDIRECTIONS = frozenset({"MOVED", "ASK", "TRYAGAIN"})
"""Error codes with which a node of a cluster says that a command is to go elsewhere, or to come later."""

_PASSING = UNAVAILABLE | REDIRECTIONS

Push = hiredis.PushNotification
"""A message that is no reply (a list), on a channel that speaks RESP3."""


class ErrorReply(Exception):
    """An error reply of the server, as the parser returns it (also inside of arrays)."""

    @property
    def text(self) -> str:
        """The server's error line."""
        return str(self.args[0]) if self.args else ""

    @property
    def code(self) -> str:
        """Its first word (`ERR`, `MOVED`, ...), the part that servers keep stable."""
        return self.text.partition(" ")[0]


def is_passing(reply: ErrorReply) -> bool:
    """Whether the error says that it cannot be done now, and later can; also a redirection that went on too long."""
    return reply.code in _PASSING


class _Connected(Protocol):
    """What is used of a redis-py connection, once it is connected."""

    _sock: socket.socket

    def disconnect(self) -> None: ...


class Channel:
    """A connected channel. Not for two threads at once, but one may send while another receives.

    Args:
        connection: a connected redis-py connection; the channel owns it from now on.
    """

    def __init__(self, connection: Any) -> None:
        connected: _Connected = connection
        self._connection = connected
        self._socket = connected._sock
        self._reader: Any = _reader()
        self._buffer = bytearray(_CHUNK)
        self._skimmer: Any = None
        self._blocks = False
        self._undecodable = False

    def fileno(self) -> int:
        """The socket's descriptor, for `select`."""
        return self._socket.fileno()

    def set_timeout(self, seconds: float | None) -> None:
        """Seconds without a byte after which `receive` raises ServerUnavailable; None: it waits for ever."""
        self._socket.settimeout(seconds)
        self._blocks = False

    def wait_in_kernel(self, seconds: float) -> None:
        """As `set_timeout`, for those who only `send` and `receive`: two system calls less for each exchange.

        Python asks the kernel whether a socket with a timeout is ready before each use. Over TLS that has to stay.
        """
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.settimeout(seconds)
            return
        self._blocks = True
        limit = struct.pack("@ll", int(seconds), round(seconds % 1 * 1e6))
        self._socket.settimeout(None)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, option, limit)

    def read_entries(self, seconds: float) -> None:
        """The replies of XREAD have `readers.entries.Entries` from now on; for those who only send and receive.

        Args:
            seconds: as of `wait_in_kernel`.
        """
        self.wait_in_kernel(seconds)
        if extension is not None:
            self._reader = extension.Reader(_parse_received)

    def send(self, packed: bytes) -> None:
        """Send commands that `pack` made."""
        try:
            self._socket.sendall(packed)
        except OSError as error:
            raise ServerUnavailable(f"connection lost while sending: {error}") from error

    def receive(self) -> Any:
        """The next reply: int, str or bytes, list, None, or ErrorReply (as a value, also inside of lists)."""
        gets = self._reader.gets
        reply = gets()
        while reply is _NOT_YET:
            self._fill(self._reader)
            reply = gets()
        return restore(reply)

    def replies(self, count: int) -> list[Any]:
        """The next so many replies, each as of `receive`."""
        receive = self.receive
        return [receive() for _ in range(count)]

    def refusals(self, count: int) -> list[tuple[int, ErrorReply]]:
        """Receive that many replies, of which only errors are wanted: each with its number, 0 is the first.

        They are all that is outstanding: nothing else may have been sent, nor be pushed.
        """
        if extension is None or self._reader.has_data():
            replies = enumerate(self.replies(count))
            return [(number, reply) for number, reply in replies if isinstance(reply, ErrorReply)]
        skimmer = self._skimmer = self._skimmer or extension.Reader(_parse_received)
        found: list[tuple[int, ErrorReply]] = []
        taken = 0
        while True:
            try:
                more, errors = skimmer.skim(count - taken)
            except ValueError as error:
                raise ServerUnavailable(str(error)) from error
            found += [(taken + number, _parse_received(text)) for number, text in errors or ()]
            taken += more
            if taken == count:
                return found
            self._fill(skimmer)

    def use_resp3(self) -> None:
        """Speak the protocol's version 3 from now on: pushed messages may come between replies, as `Push`.

        Raises:
            CommandError: the server does not know it (before Redis 6).
        """
        self.request(("HELLO", 3))

    def has_input(self) -> bool:
        """Whether something was received and not taken yet, so that waiting on `fileno` would be wrong."""
        pending = getattr(self._socket, "pending", None)
        return self._reader.has_data() or bool(pending is not None and pending())

    def poll(self) -> Any:
        """The next reply, or None where none has come within the timeout (`set_timeout`); the channel stays usable."""
        reply = self._reader.gets()
        while reply is _NOT_YET:
            try:
                self._fill(self._reader)
            except ServerUnavailable as error:
                if isinstance(error.__cause__, TimeoutError):
                    self._undecodable = withdraw() or self._undecodable
                    return None
                raise
            reply = self._reader.gets()
        if self._undecodable:
            self._undecodable = False
            note()
        return restore(reply)

    def _fill(self, reader: Any) -> None:
        """Receive for a reader what is there; where it and the socket can, a whole reply without the interpreter."""
        try:
            if self._blocks and not isinstance(reader, hiredis.Reader):
                goes_on = reader.fill(self._socket)
            else:
                count = self._socket.recv_into(self._buffer)
                reader.feed(self._buffer, 0, count)
                goes_on = count > 0
        except OSError as error:
            raise ServerUnavailable(f"connection lost while reading: {error}") from error
        if not goes_on:
            raise ServerUnavailable("the server closed the connection")

    def request(self, command: Command) -> Any:
        """One round trip; an error reply raises (`raise_for`)."""
        self.send(pack(command))
        reply = self.receive()
        if isinstance(reply, ErrorReply):
            raise_for(reply, command)
        return reply

    def abort(self) -> None:
        """End the connection under whoever waits for it; from any thread, never raises."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; never raises."""
        self._connection.disconnect()


def _reader() -> hiredis.Reader:
    return hiredis.Reader(
        encoding="utf-8",
        errors=HANDLER,
        notEnoughData=_NOT_YET,
        replyError=ErrorReply,
        protocolError=ServerUnavailable,
    )


class _Parser(threading.local):
    """A parser for each thread: to make one costs 9 us, to use it 0.7 us."""

    reader: hiredis.Reader | None = None


_parser = _Parser()


def parse(encoded: bytes) -> Any:
    """One whole reply in the server's protocol, as `receive` gives it.

    Raises:
        ValueError: it is something else.
    """
    reader, _parser.reader = _parser.reader or _reader(), None
    reader.feed(encoded)
    try:
        reply = reader.gets()
    except ServerUnavailable:
        reply = _NOT_YET
    if reply is _NOT_YET or reader.has_data():
        raise ValueError(f"{encoded!r:.100} is no reply of a server")
    _parser.reader = reader
    return restore(reply)


def _parse_received(encoded: bytes) -> Any:
    """As `parse`, of what came on a connection."""
    try:
        return parse(encoded)
    except ValueError as error:
        raise ServerUnavailable(str(error)) from error


def pack(command: Command) -> bytes:
    """One command in the server's protocol."""
    return _pack(command) or _pack_any(tuple(command))


def pack_all(commands: Iterable[Command]) -> bytes:
    """Several commands, to be sent together."""
    return b"".join([_pack(command) or _pack_any(tuple(command)) for command in commands])


def raise_for(reply: ErrorReply, command: Command) -> NoReturn:
    """Raise what an error reply to `command` means.

    Raises:
        ServerUnavailable: the server says that it cannot serve now.
        CommandError: anything else.
    """
    name = command[0]
    text = reply.text
    error = CommandError(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name), text)
    if error.code in UNAVAILABLE:
        raise ServerUnavailable(str(error))
    raise error
