"""Key events without the server module: keyspace notifications, which are best effort.

The server publishes each event to whoever listens at that moment; while a worker is away, or reads too slowly, events
are lost. One worker at a time takes a registration's events (its lease says which), in one connection to each primary
for all of them.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from geartrain import keys
from geartrain.builder.requests import KeysArguments
from geartrain.errors import GeartrainError
from geartrain.glob import compiled
from geartrain.keys import slot_of
from geartrain.readers.entries import Entries
from geartrain.readers.values import key_record, read_values
from geartrain.registry import Registration
from geartrain.runtime import Context
from geartrain.text import to_bytes, to_text
from geartrain.wire import Access, Address, ClusterLink
from geartrain.worker.deployment import Deployment
from geartrain.worker.ear import LOOK, Ear
from geartrain.worker.notifications import Missing, classes_for
from geartrain.worker.partition import Partition

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
    uniform = False
    at_once = 256

    def records_ahead(self, entries: Entries, deployment: Deployment, context: Context) -> None:
        """None: the value is read when the function runs."""

    def records_now(self, entries: Entries, deployment: Deployment, context: Context) -> list[Any]:
        """The records of those events whose key type counts."""
        arguments = deployment.registration.arguments
        assert isinstance(arguments, KeysArguments)  # noqa: S101 - a KeysReader has no others
        found = read_values(context.link, [key for _, key in entries], values=arguments.read_value)
        records = []
        for (event, key), (kind, value) in zip(entries, found, strict=True):
            if arguments.key_types is None or kind in arguments.key_types:
                record = (to_text(key), kind, value, event, deployment.dialect)
                records.append(key_record(*record, reads_value=arguments.read_value))
        return records

    def position(self, entries: Entries) -> str:
        """Events have no ids: the last key, for the history."""
        key: bytes = entries[-1][1]
        return key.decode("utf-8", "backslashreplace")

    def check(self, entries: Entries, link: ClusterLink) -> None:
        """Nothing comes before them that is elsewhere."""

    def waiting(self, entries: Entries, context: Context) -> None:
        """Nobody: that needs the module."""

    def slot(self, entries: Entries) -> int:
        """The first key's."""
        return slot_of(entries[0][1])


class KeyEvents:
    """The thread that listens, to each primary of a cluster: a server publishes the events of its own keys alone.

    Args:
        link: access to the servers, of its own: what listens are its connections.
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
        self._needed: frozenset[str] = frozenset()
        self._told: dict[Address, tuple[list[Listener], Missing]] = {}
        self._ears: dict[Address, Ear] = {}
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
        """Whether the servers that answer send what `set_partitions` asked for."""
        return not self._listeners or self._listening == self._generation

    def stop(self) -> None:
        """End the thread."""
        with self._condition:
            self._stopping = True
            self._condition.notify()

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            self._wait_for_listeners()
            try:
                self._follow_shards()
            except GeartrainError as error:
                logger.warning("key events: the shards are not known: %s", error)
            self._connect()
            self._listen()
        self._close_all()
        self._link.close()

    def _wait_for_listeners(self) -> None:
        if self._listeners:
            return
        self._close_all()
        with self._condition:
            while not self._listeners and not self._stopping:
                self._condition.wait()

    def _close_all(self) -> None:
        self._listening = 0
        for ear in self._ears.values():
            ear.close()
        self._ears = {}

    def _follow_shards(self) -> None:
        """One ear for each primary."""
        primaries = {shard.primary: shard for shard in self._link.shards}
        for address in primaries.keys() - self._ears.keys():
            link = self._link.on(primaries[address])
            self._ears[address] = Ear(link, lambda: self._needed, partial(self._tell, address))
        for address in self._ears.keys() - primaries.keys():
            self._ears.pop(address).close()

    def _connect(self) -> None:
        """Ask for the events of all listeners, and no longer for others, where that was not done."""
        with self._condition:
            listeners, generation = self._listeners, self._generation
        if not listeners:
            return
        wanted = _channels(listeners, self._link.endpoint.database)
        now = time.monotonic()
        for ear in self._ears.values():
            if (ear.connected and generation != self._asked) or (not ear.connected and ear.due <= now):
                self._guarded(ear, partial(ear.listen, wanted))
        self._asked = generation

    def _listen(self) -> None:
        """Hand on what comes within a moment."""
        ears = [ear for ear in self._ears.values() if ear.connected]
        # One that was lost is missed only as long as nobody knows.
        if ears and all(ear.ready or ear.failures for ear in self._ears.values()):
            self._listening = self._asked
        if not ears:
            with self._condition:
                if not self._stopping:
                    self._condition.wait(_PAUSE)
            return
        readable, _, _ = select.select(ears, [], [], LOOK)
        for ear in readable:
            self._guarded(ear, partial(self._take, ear))
        for ear in ears:
            self._guarded(ear, ear.look)

    def _guarded(self, ear: Ear, action: Callable[[], None]) -> None:
        try:
            action()
        except GeartrainError as error:
            ear.lost()
            logger.warning("key events: connection lost, events may have been missed: %s", error)

    def _take(self, ear: Ear) -> None:
        for channel_name, key in ear.messages():
            self._hand_on(channel_name, key)

    def _tell(self, address: Address, missing: Missing | None) -> None:
        told = self._told.pop(address, None)
        if missing is None:
            return
        listeners = self._listeners
        self._told[address] = listeners, missing
        if told == self._told[address]:
            return
        if not missing.known:
            logger.warning("CONFIG is refused here: key events come only if the server has: %s", missing.line)
            return
        server = f"the server {address}" if len(self._ears) > 1 else "the server"
        for listener in listeners:
            reason = f"{server} sends no key events; set on the server: {missing.line} (we are not permitted to)"
            self._trouble(listener.partition, reason)

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


_PAUSE = 0.05
"""Seconds between two looks while no server can be listened to."""


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
