"""Worker processes, as `geartrain worker` starts them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.stage.watching import PATIENCE
from benchmarks.suite import Broken
from geartrain.config import WorkerSettings
from geartrain.worker.supervisor import Supervisor

_DEFAULTS = WorkerSettings()


@contextmanager
def working(url: str, processes: int = 1, settings: WorkerSettings = _DEFAULTS) -> Iterator[list[int]]:
    """Have so many worker processes, all ready; gives their process ids. 0: none.

    Raises:
        Broken: they did not become ready.
    """
    if not processes:
        yield []
        return
    supervisor = Supervisor(url, processes, settings, on_output=_show_trouble)
    supervisor.start()
    try:
        if not supervisor.wait_ready(PATIENCE):
            raise Broken(f"the workers were not ready within {PATIENCE:g} s")
        yield supervisor.pids
    finally:
        supervisor.stop()


def _show_trouble(line: str) -> None:
    """Print what a worker says of failures."""
    # A registration that goes takes its leases along, which the worker notes.
    if " INFO " not in line and "lost the lease" not in line:
        print(f"worker: {line}", file=sys.stderr)
