"""The records of key events that the server module has captured: entries `event E key K type T [value V] [link L]`.

Where the value is read when the function runs, those of several events are read in one go: at most a time slice (20 ms)
before their function runs, and never past an event whose key occurs again, because the function may change its own key.
"""

from __future__ import annotations

from typing import Any

from geartrain.builder.requests import KeysArguments
from geartrain.config import Dialect
from geartrain.keys import slot_of
from geartrain.readers.entries import Entries, fields_of, id_of
from geartrain.readers.values import encoded_value, has_value, key_record, read_values
from geartrain.runtime import Context
from geartrain.text import to_bytes
from geartrain.wire import ClusterLink
from geartrain.worker.deployment import Deployment
from geartrain.worker.handover import Handover
from geartrain.worker.linked import LinkedClient

_Event = dict[str, Any]


class OutboxSource:
    """Entries `[id, [field, value, ...]]` of one outbox.

    Args:
        registration: whose.
        outbox: its name.

    Attributes:
        stream: None: the records come from keys.
    """

    stream = None
    uniform = False
    at_once = 256  # their values are read together, too: the more, the older they are when it is their turn

    def __init__(self, registration: str, outbox: bytes) -> None:
        self._handover = Handover(registration, outbox)
        self._outbox = outbox

    def records_ahead(self, entries: Entries, deployment: Deployment, context: Context) -> list[Any] | None:
        """The records of the first entries, up to the first key that occurs again; None: `records_now` is to read."""
        if context.pending:
            # The connection is not free; `records_now` comes when it is.
            return None
        try:
            return self.records_now(_without_repetition(entries), deployment, context)
        except Exception:  # noqa: BLE001 - one entry, one key, or the connection: each batch finds out for itself
            return None

    def records_now(self, entries: Entries, deployment: Deployment, context: Context) -> list[Any]:
        """One record for each entry."""
        arguments = deployment.registration.arguments
        assert isinstance(arguments, KeysArguments)  # noqa: S101 - a KeysReader has no others
        events = [fields_of(fields) for _, fields in entries]
        if not arguments.read_value:
            return [_record(event, event["type"], None, deployment.dialect, reads_value=False) for event in events]
        now = [event for event in events if not _is_known(event, arguments)]
        read = iter(read_values(context.link, [event["key"] for event in now]) if now else ())
        if len(now) == len(events):
            return [_record(event, *found, deployment.dialect) for event, found in zip(events, read, strict=True)]
        return [
            _record(event, event["type"], _captured(event), deployment.dialect)
            if _is_known(event, arguments)
            else _record(event, *next(read), deployment.dialect)
            for event in events
        ]

    def position(self, entries: Entries) -> str:
        """The id of the last one."""
        return id_of(entries, -1)

    def check(self, entries: Entries, link: ClusterLink) -> None:
        """Events of keys that have moved here wait for those before the move."""
        self._handover.check(entries, link)

    def waiting(self, entries: Entries, context: Context) -> LinkedClient | None:
        """The client whose command the (one) event comes from, where its command is one of the registration's."""
        fields = entries[0][1]
        # The last of its fields, if it is there.
        return LinkedClient(context, self._outbox, fields[-1]) if fields[-2] == "link" else None

    def slot(self, entries: Entries) -> int:
        """The first key's: the outbox's own may have moved to another shard, and then it is emptied there."""
        return slot_of(fields_of(entries[0][1])["key"])


def _without_repetition(entries: Entries) -> Entries:
    """The entries before the first one whose key has occurred."""
    seen: set[str | bytes] = set()
    for count, (_, fields) in enumerate(entries):
        key = fields_of(fields)["key"]
        if key in seen:
            return entries[:count]
        seen.add(key)
    return entries


def _record(event: _Event, kind: str, value: Any, dialect: Dialect, *, reads_value: bool = True) -> dict[str, Any]:
    return key_record(event["key"], kind, value, event["event"], dialect, reads_value=reads_value)


def _is_known(event: _Event, arguments: KeysArguments) -> bool:
    """Whether the value need not be read: it is in the entry; or there was none, and to look would be another miss."""
    return event["event"] == "keymiss" or (arguments.snapshot and _is_complete(event))


def _is_complete(event: _Event) -> bool:
    """Whether the event tells the value: it is there, or there was none (not so in entries from before an upgrade)."""
    return "value" in event or not has_value(event["type"])


def _captured(event: _Event) -> Any:
    return encoded_value(event["type"], to_bytes(event["value"])) if "value" in event else None
