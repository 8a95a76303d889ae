"""The records of stream entries."""

from __future__ import annotations

from typing import Any

from geartrain.keys import slot_of
from geartrain.readers.entries import records_of
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

    def __init__(self, stream: bytes) -> None:
        self.stream = to_text(stream)
        self._slot = slot_of(stream)

    def records_ahead(self, entries: list[Any], deployment: Deployment, context: Context) -> list[Any]:
        """One record for each entry."""
        del context
        return records_of(entries, self.stream, deployment.dialect)

    def records_now(self, entries: list[Any], deployment: Deployment, context: Context) -> list[Any]:
        """The same: entries alone make the records."""
        return self.records_ahead(entries, deployment, context)

    def position(self, entries: list[Any]) -> str:
        """The id of the last one."""
        last: str = entries[-1][0]
        return last

    def check(self, entries: list[Any], link: ClusterLink) -> None:
        """Nothing comes before them that is elsewhere."""

    def waiting(self, entries: list[Any], context: Context) -> None:
        """Nobody."""

    def slot(self, entries: list[Any]) -> int:
        """The stream's."""
        del entries
        return self._slot
