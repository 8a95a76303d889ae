"""One connection that listens to one server's keyspace notifications."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from geartrain.errors import ServerUnavailable
from geartrain.text import to_bytes
from geartrain.wire import Channel, ErrorReply, Link, pack, pack_all, raise_for
from geartrain.worker.notifications import Missing, ensure_notifications
from geartrain.worker.policy import backoff

Wanted = frozenset[tuple[bool, str]]
"""What to subscribe to: (whether it is a pattern, name)."""

LOOK = 0.25
"""Seconds that half a message may take to become a whole one."""

CHECK_EVERY = 10.0
"""Seconds between two looks at whether the server still sends what we need: anybody may change its setting."""

_PING_AFTER = 10.0
"""Seconds of silence after which the connection is checked."""


class Ear:
    """See the module's docstring. For one thread.

    Args:
        link: a connection of its own.
        needed: the classes of events that the server has to send.
        told: called with what is to be set on the server where we are not permitted to; None: nothing is missing.

    Attributes:
        failures: how often in a row it could not be connected, or was lost.
        due: when it may be connected again, a time of `time.monotonic`.
    """

    def __init__(
        self, link: Link, needed: Callable[[], frozenset[str]], told: Callable[[Missing | None], None]
    ) -> None:
        self.failures = 0
        self.due = 0.0
        self._link = link
        self._needed = needed
        self._told = told
        self._channel: Channel | None = None
        self._wanted: Wanted = frozenset()
        self._unconfirmed = 0
        self._heard = self._asked = self._check = 0.0

    @property
    def ready(self) -> bool:
        """Whether the server sends what was asked for last."""
        return self._channel is not None and not self._unconfirmed

    @property
    def connected(self) -> bool:
        """Whether there is a connection that messages may come on."""
        return self._channel is not None

    def fileno(self) -> int:
        """The socket's descriptor, for `select`."""
        assert self._channel is not None  # noqa: S101 - only those are waited for that are connected
        return self._channel.fileno()

    def listen(self, wanted: Wanted) -> None:
        """Ask for these events, and no longer for others; connects where there is no connection.

        In one go, on the connection that there is: the server executes the commands of one packet without a gap, so
        that no event is missed and none comes twice while listeners come and go.

        Raises:
            ServerUnavailable: it is away.
        """
        self._ensure_notifications()
        if self._channel is None:
            self._wanted, self._unconfirmed = frozenset(), 0
            channel = self._link.channel
            channel.set_timeout(LOOK)
            self._heard = self._asked = time.monotonic()
        else:
            channel = self._channel
        commands = [
            *(("P" * pattern + "UNSUBSCRIBE", name) for pattern, name in sorted(self._wanted - wanted)),
            *(("P" * pattern + "SUBSCRIBE", name) for pattern, name in sorted(wanted - self._wanted)),
        ]
        channel.send(pack_all(commands))
        # Added: the answers to an earlier change may still be on their way, and come first.
        self._unconfirmed += len(commands)
        self._channel, self._wanted = channel, wanted

    def messages(self) -> Iterator[tuple[bytes, bytes]]:
        """What has come: names of channels, each with a key. To be called when the socket has something.

        Raises:
            ServerUnavailable: the connection was lost.
            CommandError: the server refuses to let us listen.
        """
        channel = self._channel
        while channel is not None:
            message = channel.poll()
            if message is None:
                return
            self._heard = time.monotonic()
            self.failures = 0
            if self._is_event(message):
                yield to_bytes(message[-2]), to_bytes(message[-1])
            if not channel.has_input():
                return

    def _is_event(self, message: Any) -> bool:
        if isinstance(message, ErrorReply):
            raise_for(message, ("SUBSCRIBE",))
        if message[0] in ("message", "pmessage"):
            return True
        if message[0] != "pong":
            self._unconfirmed -= 1
        return False

    def look(self) -> None:
        """Called now and then: a silent connection may be a dead one, and anybody may change the server's setting.

        Raises:
            ServerUnavailable: no answer came.
        """
        now = time.monotonic()
        if self._channel is None:
            return
        if now > self._check:
            self._ensure_notifications()
        if now - max(self._heard, self._asked) > _PING_AFTER:
            if self._asked > self._heard:
                raise ServerUnavailable(f"no answer for {now - self._heard:.0f} s")
            self._channel.send(pack(("PING",)))
            self._asked = now

    def _ensure_notifications(self) -> None:
        # A connection of its own: one that listens takes no other commands.
        with Link(self._link.endpoint, "geartrain:notifications") as link:
            self._told(ensure_notifications(link, self._needed()))
        self._check = time.monotonic() + CHECK_EVERY

    def lost(self) -> None:
        """It failed: try again later."""
        self.close()
        self.failures += 1
        self.due = time.monotonic() + backoff(self.failures)

    def close(self) -> None:
        """Listen no longer."""
        self._channel = None
        self._link.close()
