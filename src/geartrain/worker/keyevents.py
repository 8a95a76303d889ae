"""Key events without the server module: keyspace notifications, which are best effort.

The server publishes each event to whoever listens at that moment; while a worker is away, or reads too slowly, events
are lost. One worker at a time takes a registration's events (its lease says which), in one connection for all of
them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from geartrain import keys
from geartrain.builder.requests import KeysArguments
from geartrain.errors import CommandError, GeartrainError, ServerUnavailable
from geartrain.glob import compiled
from geartrain.readers.values import read_values
from geartrain.runtime import Context
from geartrain.text import to_bytes, to_text
from geartrain.wire import Argument, Link, pack
from geartrain.worker.deployment import Deployment
from geartrain.worker.partition import Partition
from geartrain.worker.policy import backoff

logger = logging.getLogger("geartrain.worker")

_SETTING = "notify-keyspace-events"

_CLASSES: Mapping[str, frozenset[str]] = {
    "g": frozenset(
        ["del", "expire", "rename_from", "rename_to", "copy_to", "restore", "move_from", "move_to", "persist"]
    ),
    "$": frozenset(
        [
            "set",
            "setrange",
            "incrby",
            "incrbyfloat",
            "append",
            "setex",
            "psetex",
            "getset",
            "mset",
            "getdel",
            "getex",
            "msetex",
        ]
    ),
    "l": frozenset(["lpush", "rpush", "lpop", "rpop", "linsert", "lset", "lrem", "ltrim", "sortstore"]),
    "h": frozenset(
        ["hset", "hincrby", "hincrbyfloat", "hdel", "hexpire", "hpersist", "hexpired", "hgetdel", "hgetex", "hsetex"]
    ),
    "s": frozenset(["sadd", "srem", "spop", "sinterstore", "sunionstore", "sdiffstore"]),
    "z": frozenset(
        [
            "zadd",
            "zincr",
            "zincrby",
            "zrem",
            "zremrangebyscore",
            "zremrangebyrank",
            "zremrangebylex",
            "zinterstore",
            "zunionstore",
            "zdiffstore",
            "zrangestore",
            "zpopmin",
            "zpopmax",
        ]
    ),
    "t": frozenset(
        [
            "xadd",
            "xtrim",
            "xdel",
            "xsetid",
            "xgroup-create",
            "xgroup-createconsumer",
            "xgroup-delconsumer",
            "xgroup-destroy",
            "xgroup-setid",
        ]
    ),
    "x": frozenset(("expired",)),
    "e": frozenset(("evicted",)),
    "m": frozenset(("keymiss",)),
    "n": frozenset(("new",)),
}
"""Which class of the server's setting has which events."""

_ALL = frozenset("g$lshzxet")
"""What the class `A` stands for, as far as it concerns us (modules' own events apart)."""


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


def classes_for(events: Iterable[str] | None) -> frozenset[str]:
    """The classes of the server's setting that are needed for these events; None: all events."""
    if events is None:
        return _ALL
    needed = {flag for flag, names in _CLASSES.items() for event in events if event in names}
    unknown = [event for event in events if not any(event in names for names in _CLASSES.values())]
    return frozenset(needed) | (_ALL if unknown else frozenset())


def missing_flags(setting: str, needed: frozenset[str]) -> str:
    """What has to be added to the server's setting; '' where nothing is missing."""
    present = set(setting) | (_ALL if "A" in setting else set())
    missing = (needed | {"E"}) - present
    if missing >= _ALL:
        missing = (missing - _ALL) | {"A"}
    return "".join(sorted(missing))


def ensure_notifications(link: Link, needed: frozenset[str]) -> str | None:
    """Turn on what is needed, where we may; returns None, or the line that the user has to set."""
    try:
        reply = link.call("CONFIG", "GET", _SETTING)
        setting = reply[1] if reply else ""
    except CommandError:
        setting = None
    missing = missing_flags(setting or "", needed)
    if setting is not None and not missing:
        return None
    wanted = "".join(sorted(set((setting or "") + missing)))
    try:
        link.call("CONFIG", "SET", _SETTING, wanted)
    except CommandError:
        return f"{_SETTING} {wanted}"
    return None


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
        self._matching: dict[bytes, list[Listener]] = {}
        self._generation = 0
        self._listening = 0
        self._stopping = False
        self._thread: threading.Thread | None = None

    # -- called by other threads ---------------------------------------------------------------------------------------

    def set_partitions(self, partitions: Iterable[Partition]) -> None:
        """Take the events of these from now on, and of no others."""
        listeners = [_listener(partition) for partition in partitions]
        with self._condition:
            self._listeners = listeners
            self._matching = {}
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
