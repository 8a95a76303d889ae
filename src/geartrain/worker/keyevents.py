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
from geartrain.runtime import Context
from geartrain.text import to_bytes, to_text
from geartrain.wire import Argument, Link, pack
from geartrain.worker.deployment import Deployment
from geartrain.worker.notifications import classes_for, ensure_notifications
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

    def records_ahead(self, entries: list[Any], deployment: Deployment) -> None:
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


class KeyEvents:
    """The thread that listens.

    Args:
        link: a connection of its own.
        trouble: called with a partition and the reason why its events may not come.
    """

    def __init__(self, link: Link, trouble: Callable[[Partition, str], None]) -> None:
        self._link = link
        self._trouble = trouble
        self._condition = threading.Condition()
        self._listeners: list[Listener] = []
        self._generation = 0
        self._listening = 0
        self._stopping = False
        self._thread: threading.Thread | None = None

    # -- called by other threads ---------------------------------------------------------------------------------------

    def set_partitions(self, partitions: Iterable[Partition]) -> None:
        """Take the events of these from now on, and of no others."""
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
                self._subscribe()
                failures = 0
                self._listen()
            except GeartrainError as error:
                failures += 1
                self._listening = 0
                self._link.close()
                logger.warning("key events: connection lost, events may have been missed: %s", error)
                with self._condition:
                    if not self._stopping:
                        self._condition.wait(backoff(failures))
        self._link.close()

    def _subscribe(self) -> None:
        """Ask for the events of all listeners, in a new connection."""
        with self._condition:
            while not self._listeners and not self._stopping:
                self._condition.wait()
            listeners, generation = self._listeners, self._generation
        self._link.close()
        needed: frozenset[str] = frozenset().union(*(classes_for(listener.events) for listener in listeners))
        line = ensure_notifications(self._link, needed)
        if line is not None:
            for listener in listeners:
                reason = f"the server sends no key events; set on the server: {line} (we are not permitted to)"
                self._trouble(listener.partition, reason)
        channel = self._link.channel
        for command in _subscriptions(listeners, self._link.endpoint.database):
            channel.send(pack(command))
            for _ in command[1:]:
                channel.receive()
        channel.set_timeout(0.25)
        self._listening = generation

    def _listen(self) -> None:
        """Hand messages on until the listeners change."""
        channel = self._link.channel
        heard = asked = time.monotonic()
        while not self._stopping and self._generation == self._listening:
            message = channel.poll()
            now = time.monotonic()
            if message is None:
                # A silent connection may be a dead one: ask.
                if now - max(heard, asked) > _PING_AFTER:
                    if asked > heard:
                        raise ServerUnavailable(f"no answer for {now - heard:.0f} s")
                    channel.send(pack(("PING",)))
                    asked = now
                continue
            heard = now
            if message[0] in ("message", "pmessage"):
                self._hand_on(to_bytes(message[-2]), to_bytes(message[-1]))

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


_PING_AFTER = 10.0
"""Seconds of silence after which the connection is checked."""


def _listener(partition: Partition) -> Listener:
    registration = partition.deployment.registration
    arguments = registration.arguments
    assert isinstance(arguments, KeysArguments)  # noqa: S101 - a KeysReader has no others
    events = None if arguments.event_types is None else frozenset(arguments.event_types)
    return Listener(partition, to_bytes(registration.pattern), events)


def _subscriptions(listeners: Iterable[Listener], database: int) -> list[list[Argument]]:
    """The commands that subscribe: by pattern where somebody wants all events, else by event."""
    prefix = f"__keyevent@{database}__:"
    events: set[str] = set()
    for listener in listeners:
        if listener.events is None:
            return [["PSUBSCRIBE", prefix + "*"]]
        events |= listener.events
    return [["SUBSCRIBE", *(prefix + event for event in sorted(events))]]
