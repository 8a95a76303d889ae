"""Ends a server when its owner has ended, however the owner ended: run as a script, one process for each server.

    python guard.py PID [SCRATCH]       PID: the server; SCRATCH: a folder to remove after it

The owner holds the other end of standard input and never writes to it. The end of the input is the end of the owner,
also after a SIGKILL (and of what the owner forked without an exec, as that holds the same pipe). Rejected:
PR_SET_PDEATHSIG - Linux only, the server would end with the *thread* that started it, and it needs code between fork
and exec, which is not safe in a process with threads.

Imports nothing of Geartrain: it starts in a few milliseconds and works while the package is being replaced.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import time

PATIENCE = 10.0
"""Seconds that the server has to write its data after SIGTERM; then it is killed."""


def main(pid: int, scratch: str | None) -> None:
    """Wait for the end of the owner, then end the server and remove its folder."""
    # Linux: a handle on the process itself, so that a number that is used again is never mistaken for it.
    handle = None
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            handle = os.pidfd_open(pid)
    sys.stdin.buffer.read()
    with contextlib.suppress(ProcessLookupError):
        _send(pid, handle, signal.SIGTERM)
        if not _ends(pid, handle):
            _send(pid, handle, signal.SIGKILL)
            _ends(pid, handle)
    if scratch is not None:
        shutil.rmtree(scratch, ignore_errors=True)


def _send(pid: int, handle: int | None, number: signal.Signals) -> None:
    if handle is not None and hasattr(signal, "pidfd_send_signal"):
        signal.pidfd_send_signal(handle, number)
    else:
        os.kill(pid, number)


def _ends(pid: int, handle: int | None) -> bool:
    """Whether the server has ended, at the latest after PATIENCE."""
    if handle is not None:
        return bool(select.select([handle], [], [], PATIENCE)[0])
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        os.kill(pid, 0)  # raises ProcessLookupError when it has ended
        time.sleep(0.05)
    return False


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
