"""The records of stream entries."""

from __future__ import annotations

from typing import Any

from geartrain.keys import slot_of
from geartrain.readers.entries import Entries, id_of, records_of
from geartrain.runtime import Context
from geartrain.text import to_text
from geartrain.wire import ClusterLink
from geartrain.worker.deployment import Deployment


class StreamSource:
    """Entries `[id, [field, value, ...]]` of one stream.

    Args:
        stream: its name.

    Attributes:
        stream: its name, as users see it.
    """

    uniform = True
    at_once = 1000

    def __init__(self, stream: bytes) -> None:
        self.stream = to_text(stream)
        self._slot = slot_of(stream)

    def records_ahead(self, entries: Entries, deployment: Deployment, context: Context) -> list[Any]:
        """One record for each entry."""
        del context
        return records_of(entries, self.stream, deployment.dialect)

    def records_now(self, entries: Entries, deployment: Deployment, context: Context) -> list[Any]:
        """The same: entries alone make the records."""
        return self.records_ahead(entries, deployment, context)

    def position(self, entries: Entries) -> str:
        """The id of the last one."""
        return id_of(entries, -1)

    def check(self, entries: Entries, link: ClusterLink) -> None:
        """Nothing comes before them that is elsewhere."""

    def waiting(self, entries: Entries, context: Context) -> None:
        """Nobody."""

    def slot(self, entries: Entries) -> int:
        """The stream's."""
        del entries
        return self._slot
