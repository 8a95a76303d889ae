"""Key events without the server module: keyspace notifications, which are best effort.

The server publishes each event to whoever listens at that moment; while a worker is away, or reads too slowly, events
are lost. One worker at a time takes a registration's events (its lease says which), in one connection for all of
them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from geartrain import keys
from geartrain.builder.requests import KeysArguments
from geartrain.errors import GeartrainError, ServerUnavailable
from geartrain.glob import compiled
from geartrain.readers.values import read_values
from geartrain.registry import Registration
from geartrain.runtime import Context
from geartrain.text import to_bytes, to_text
from geartrain.wire import Access, ErrorReply, Link, pack, pack_all, raise_for, slot_of
from geartrain.worker.deployment import Deployment
from geartrain.worker.notifications import Missing, classes_for, ensure_notifications
from geartrain.worker.partition import Partition
from geartrain.worker.policy import backoff

logger = logging.getLogger("geartrain.worker")


@dataclass(frozen=True, slots=True)
class Listener:
    """A registration whose events are taken here."""

    partition: Partition
    pattern: bytes
    events: frozenset[str] | None


class KeyEventSource:
    """The records of key events: `{'key', 'value', 'type', 'event'}`, read when they are executed."""

    stream = None

    def records_ahead(self, entries: list[Any], deployment: Deployment, context: Context) -> None:
        """None: the value is read when the function runs."""

    def records_now(self, entries: list[Any], deployment: Deployment, context: Context) -> list[Any]:
        """The records of those events whose key type counts."""
        arguments = deployment.registration.arguments
        assert isinstance(arguments, KeysArguments)  # noqa: S101 - a KeysReader has no others
        found = read_values(context.link, [key for _, key in entries], values=arguments.read_value)
        records = []
        for (event, key), (kind, value) in zip(entries, found, strict=True):
            if arguments.key_types is None or kind in arguments.key_types:
                records.append({"key": to_text(key), "value": value, "type": kind, "event": event})
        return records

    def position(self, entries: list[Any]) -> str:
        """Events have no ids: the last key, for the history."""
        key: bytes = entries[-1][1]
        return key.decode("utf-8", "backslashreplace")

    def slot(self, entries: list[Any]) -> int:
        """The first key's."""
        return slot_of(entries[0][1])


class KeyEvents:
    """The thread that listens.

    Args:
        link: a connection of its own.
        trouble: called with a partition and the reason why its events may not come.
    """

    def __init__(self, link: Access, trouble: Callable[[Partition, str], None]) -> None:
        self._link = link
        self._trouble = trouble
        self._condition = threading.Condition()
        self._listeners: list[Listener] = []
        self._generation = 0
        self._asked = 0
        self._listening = 0
        self._subscribed: frozenset[tuple[bool, str]] = frozenset()
        self._unconfirmed = 0
        self._needed: frozenset[str] = frozenset()
        self._told: tuple[list[Listener], Missing] | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None

    # -- called by other threads ---------------------------------------------------------------------------------------

    def set_partitions(self, partitions: Iterable[Partition], registrations: Iterable[Registration]) -> None:
        """Take the events of these partitions from now on, and of no others.

        Args:
            partitions: those that this worker owns.
            registrations: all that take key events, also elsewhere. The server's setting is one for all: workers that
                complete it at the same time, each for its own, would overwrite each other's.
        """
        self._needed = frozenset().union(*(classes_for(events_of(item)) for item in registrations))
        listeners = [_listener(partition) for partition in partitions]
        with self._condition:
            if listeners == self._listeners:
                # Not asked for again: what happens while the server changes over would be missed.
                return
            self._listeners = listeners
            self._generation += 1
            self._condition.notify()
        if listeners and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="geartrain-events", daemon=True)
            self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether the server sends what `set_partitions` asked for."""
        return not self._listeners or self._listening == self._generation

    def stop(self) -> None:
        """End the thread."""
        with self._condition:
            self._stopping = True
            self._condition.notify()

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        while not self._stopping:
            try:
                self._wait_for_listeners()
                self._subscribe()
                self._listen()
                failures = 0
            except GeartrainError as error:
                failures += 1
                self._forget_connection()
                logger.warning("key events: connection lost, events may have been missed: %s", error)
                with self._condition:
                    if not self._stopping:
                        self._condition.wait(backoff(failures))
        self._link.close()

    def _wait_for_listeners(self) -> None:
        if self._listeners:
            return
        self._forget_connection()
        with self._condition:
            while not self._listeners and not self._stopping:
                self._condition.wait()

    def _forget_connection(self) -> None:
        self._listening = self._unconfirmed = 0
        self._subscribed = frozenset()
        self._link.close()

    def _subscribe(self) -> None:
        """Ask for the events of all listeners, and no longer for others.

        In one go, on the connection that there is: the server executes the commands of one packet without a gap, so
        that no event is missed and none comes twice while listeners come and go.
        """
        with self._condition:
            listeners, self._asked = self._listeners, self._generation
        if not listeners:
            return
        self._ensure_notifications(listeners)
        wanted = _channels(listeners, self._link.endpoint.database)
        commands = [
            *(("P" * pattern + "UNSUBSCRIBE", name) for pattern, name in sorted(self._subscribed - wanted)),
            *(("P" * pattern + "SUBSCRIBE", name) for pattern, name in sorted(wanted - self._subscribed)),
        ]
        channel = self._link.channel
        channel.set_timeout(_LOOK)
        channel.send(pack_all(commands))
        self._subscribed = wanted
        # Added: the answers to an earlier change may still be on their way, and come first.
        self._unconfirmed += len(commands)

    def _ensure_notifications(self, listeners: list[Listener]) -> None:
        # A connection of its own: one that listens takes no other commands.
        with Link(self._link.endpoint, "geartrain:notifications") as link:
            missing = ensure_notifications(link, self._needed)
        told, self._told = self._told, None if missing is None else (listeners, missing)
        if missing is None or told == self._told:
            return
        if not missing.known:
            logger.warning("CONFIG is refused here: key events come only if the server has: %s", missing.line)
            return
        for listener in listeners:
            reason = f"the server sends no key events; set on the server: {missing.line} (we are not permitted to)"
            self._trouble(listener.partition, reason)

    def _listen(self) -> None:
        """Hand messages on until the listeners change."""
        channel = self._link.channel
        heard = asked = time.monotonic()
        check = heard + _CHECK_EVERY
        while not self._stopping and self._generation == self._asked:
            if not self._unconfirmed:
                self._listening = self._asked
            message = channel.poll()
            now = time.monotonic()
            if now > check:
                self._ensure_notifications(self._listeners)
                check = now + _CHECK_EVERY
            if message is None:
                # A silent connection may be a dead one: ask.
                if now - max(heard, asked) > _PING_AFTER:
                    if asked > heard:
                        raise ServerUnavailable(f"no answer for {now - heard:.0f} s")
                    channel.send(pack(("PING",)))
                    asked = now
                continue
            heard = now
            self._take(message)

    def _take(self, message: Any) -> None:
        if isinstance(message, ErrorReply):
            raise_for(message, ("SUBSCRIBE",))
        if message[0] in ("message", "pmessage"):
            self._hand_on(to_bytes(message[-2]), to_bytes(message[-1]))
        elif message[0] != "pong":
            self._unconfirmed -= 1

    def _hand_on(self, channel_name: bytes, key: bytes) -> None:
        if key.startswith(keys.PREFIX):
            return
        event = channel_name.partition(b"__:")[2].decode("utf-8", "backslashreplace")
        for listener in self._listeners:
            if (listener.events is None or event in listener.events) and compiled(listener.pattern).fullmatch(key):
                if listener.partition.full:
                    listener.partition.count("dropped")
                else:
                    listener.partition.offer([[event, key]])


_LOOK = 0.25
"""Seconds between two looks at whether the listeners have changed, where nothing happens."""

_CHECK_EVERY = 10.0
"""Seconds between two looks at whether the server still sends what we need: anybody may change its setting."""

_PING_AFTER = 10.0
"""Seconds of silence after which the connection is checked."""


def _listener(partition: Partition) -> Listener:
    registration = partition.deployment.registration
    return Listener(partition, to_bytes(registration.pattern), events_of(registration))


def events_of(registration: Registration) -> frozenset[str] | None:
    """The events that trigger a KeysReader's registration; None: all."""
    arguments = registration.arguments
    assert isinstance(arguments, KeysArguments)  # noqa: S101 - a KeysReader has no others
    return None if arguments.event_types is None else frozenset(arguments.event_types)


def _channels(listeners: Iterable[Listener], database: int) -> frozenset[tuple[bool, str]]:
    """What to subscribe to, as (whether it is a pattern, name): all events where somebody wants all, else by event."""
    prefix = f"__keyevent@{database}__:"
    events: set[str] = set()
    for listener in listeners:
        if listener.events is None:
            return frozenset({(True, prefix + "*")})
        events |= listener.events
    return frozenset((False, prefix + event) for event in events)
