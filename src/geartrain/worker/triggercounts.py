"""The counters of registrations that are triggered: they have no partitions to keep them."""

from __future__ import annotations

import threading
from collections.abc import Container

from geartrain.errors import Aborted
from geartrain.registry.statistics import Delta
from geartrain.worker.execution import explain
from geartrain.worker.seats import Running
from geartrain.worker.tally import Tally


class Counted:
    """The counters of one registration, as `Reports` takes them.

    Args:
        registration: its id.
        history: executions that its tally keeps.
    """

    def __init__(self, registration: str, history: int) -> None:
        self.key = (registration, b"")
        self.tally = Tally(history)

    def drain_tally(self, worker: str) -> Delta | None:
        """What to add to the registration's statistics, or None."""
        return self.tally.drain("", worker)


class Counts:
    """The counters of all registrations that are triggered. Thread-safe.

    Args:
        history: executions that each keeps.
    """

    def __init__(self, history: int) -> None:
        self._history = history
        self._counted: dict[str, Counted] = {}
        self._lock = threading.Lock()

    def add(self, running: Running, trigger: str) -> None:
        """An execution has ended."""
        name = running.deployment.registration.id
        line, error = (running.began, running.duration, 1, trigger), running.error
        with self._lock:
            counted = self._counted.get(name)
            if counted is None:
                counted = self._counted[name] = Counted(name, self._history)
            if error is None:
                counted.tally.success(*line)
            elif isinstance(error, Aborted):
                counted.tally.aborted(line, explain(error))
            else:
                counted.tally.failure(line, "failed", explain(error))

    def all(self) -> list[Counted]:
        """Those of all registrations."""
        with self._lock:
            return list(self._counted.values())

    def forget(self, registered: Container[str]) -> None:
        """All registrations but these are gone."""
        with self._lock:
            for name in [name for name in self._counted if name not in registered]:
                del self._counted[name]
