"""How a worker process and its supervisor know of each other: one inherited socket.

    worker ── "ready" ──> supervisor      once: the registrations that were there at the start are live
    worker <── end of input ── supervisor      the supervisor has ended, however it ended, SIGKILL included

Nobody else holds the supervisor's end, so the end of input is the end of the supervisor, on every platform. Rejected:
PR_SET_PDEATHSIG, which is Linux only and fires when the *thread* ends that started the child.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import threading
import time

FD_VARIABLE = "GEARTRAIN_SUPERVISOR_FD"
"""The environment variable with the number of the worker's end of the socket."""

READY = b"ready\n"


class Parent:
    """The supervisor, seen from its worker process.

    Args:
        fd: the inherited end of the socket.
        patience: seconds that a clean stop may take once the supervisor has gone; then the process ends at once.
    """

    def __init__(self, fd: int, patience: float) -> None:
        self._socket = socket.socket(fileno=fd)
        self._patience = patience

    @classmethod
    def from_environment(cls, patience: float) -> Parent | None:
        """The supervisor of this process; None where it was started by hand."""
        # Taken out: what user code starts is not a worker.
        number = os.environ.pop(FD_VARIABLE, None)
        return cls(int(number), patience) if number else None

    def ready(self) -> None:
        """Tell it that the registrations are live."""
        # Gone already: `follow` ends this process.
        with contextlib.suppress(OSError):
            self._socket.sendall(READY)

    def follow(self) -> None:
        """From now on, stop this process in good order (SIGTERM) when the supervisor has gone."""
        threading.Thread(target=self._watch, name="geartrain-parent", daemon=True).start()

    def _watch(self) -> None:
        with contextlib.suppress(OSError):
            while self._socket.recv(64):
                pass
        _let_go_of_output()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(self._patience)
        os._exit(1)


def _let_go_of_output() -> None:
    """A pipe to the supervisor has no reader now: a `print` in user code must not fail because of that."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.dup2(nowhere, descriptor)
    os.close(nowhere)
