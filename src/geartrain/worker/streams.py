"""The records of stream entries."""

from __future__ import annotations

from typing import Any

from geartrain.readers.entries import records_of
from geartrain.runtime import Context
from geartrain.worker.deployment import Deployment


class StreamSource:
    """Entries `[id, [field, value, ...]]` of one stream."""

    def records(self, entries: list[Any], deployment: Deployment, context: Context) -> list[Any]:
        """One record for each entry."""
        return records_of(entries, context.stream or "", deployment.dialect)

    def position(self, entries: list[Any]) -> str:
        """The id of the last one."""
        last: str = entries[-1][0]
        return last
