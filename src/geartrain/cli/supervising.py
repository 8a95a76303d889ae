"""The part that `run` and `worker` share: worker processes from their start to their end, and the signals between."""

from __future__ import annotations

import time
from collections.abc import Callable

from geartrain.cli.interrupts import Interrupts
from geartrain.cli.output import note
from geartrain.worker.supervisor import Supervisor

_STARTING = 0.1
"""Seconds between two looks while workers start or stop."""

_STEADY = 0.5
"""Seconds between two looks while they work."""


def attend(
    supervisor: Supervisor, interrupts: Interrupts, on_ready: Callable[[], None], look: Callable[[], None]
) -> None:
    """Start the workers, and stay until a signal comes or `look` raises; then stop them.

    Args:
        supervisor: has not been started.
        interrupts: what ends it.
        on_ready: called once, when all workers have their registrations live.
        look: called about twice a second.
    """
    supervisor.start()
    try:
        ready = False
        while not interrupts.wait(_STEADY if ready else _STARTING):
            if not ready and supervisor.wait_ready(0):
                ready = True
                on_ready()
            look()
    finally:
        _stop(supervisor, interrupts)


def _stop(supervisor: Supervisor, interrupts: Interrupts) -> None:
    """Stop all workers in good order; a further signal, or the deadline, kills those that still run."""
    note("stopping: running executions finish (Ctrl-C ends them at once)")
    supervisor.request_stop()
    deadline = time.monotonic() + supervisor.patience
    while not supervisor.wait(0):
        if interrupts.wait(_STARTING):
            _kill(supervisor, "killed; what was not committed runs again, once there is a worker")
        elif time.monotonic() > deadline:
            _kill(supervisor, f"killed after {supervisor.patience:g} s; what was not committed runs again")


def _kill(supervisor: Supervisor, what: str) -> None:
    supervisor.kill()
    supervisor.wait()
    note(what)
