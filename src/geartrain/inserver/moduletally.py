"""What executions leave behind that the module itself runs: it counts what goes well, Python code sees what failed."""

from __future__ import annotations

from typing import Any

import _geartrain
from geartrain.inserver.failures import LOG, told
from geartrain.pipeline import Pipeline
from geartrain.registry.statistics import Delta
from geartrain.text import shown
from geartrain.worker.tally import Tally

ANYTHING = -1
"""To `_geartrain.install`: a function may do anything with what it gets."""


class ModuleTally:
    """The counters of one function.

    Args:
        handle: the hook's function.
        registration: its id.
        causes: what its executions come of, in words, for the log.
        history: executions that the registration's history keeps.
        worker: what the history names as having executed.
    """

    def __init__(self, handle: _geartrain.Handle, registration: str, causes: str, history: int, worker: str) -> None:
        self._handle = handle
        self._registration = registration
        self._causes = causes
        self._tally = Tally(history)
        self._worker = worker

    def deltas(self) -> list[Delta]:
        """What there is to add to the registration's statistics."""
        drained = _geartrain.drain(self._handle)
        if drained is not None:
            count, duration, last, lines = drained
            about = [(begin / 1e6, took / 1e6, shown(key)) for begin, took, key in lines]
            self._tally.successes(count, duration / 1e6, last / 1e6, about)
        delta = self._tally.drain("", self._worker)
        return [] if delta is None else [delta]

    def failed(
        self,
        begin: int,
        duration: int,
        key: str | bytes | None,
        error: BaseException,
        pipeline: Pipeline,
        record: dict[str, Any] | None = None,
    ) -> str:
        """Note what an execution raised; its message."""
        message, trace = told(self._handle, error, pipeline, record)
        self._tally.failure((begin / 1e6, duration / 1e6, 1, shown(key or "")), "failed", (message, trace))
        LOG.failed(self._registration, self._causes, "failed", message, trace)
        return message
