"""What processes use of the machine's memory, in bytes."""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_UNIT = 1 if sys.platform == "darwin" else 1024


class Memory:
    """The memory of this process and its executors. Thread-safe.

    Args:
        pids: the executors that run now.
    """

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self._pids = pids
        self._lock = threading.Lock()
        self._total = self._peak = self._last = 0

    def look(self) -> tuple[int, int, int]:
        """Bytes that were taken in all, as far as was seen; that were used at the most; and now."""
        now = sum(map(_resident, (os.getpid(), *self._pids())))
        with self._lock:
            self._total += max(0, now - self._last)
            self._peak = max(self._peak, now)
            self._last = now
            return max(self._total, self._peak), self._peak, now


def _resident(pid: int) -> int:
    """Bytes of one process; 0 where it has gone. Where the system does not tell: the most that this one ever used."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT if pid == os.getpid() else 0
