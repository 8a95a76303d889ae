"""What a process has used so far, by its id: Linux tells exactly, elsewhere `ps` does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used, user and system."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    seconds = 0.0
    for part in _ps(pid, "cputime").split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def memory(pid: int) -> float:
    """Bytes of memory that a process has."""
    statm = Path(f"/proc/{pid}/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 1024 * float(_ps(pid, "rss"))


def _ps(pid: int, what: str) -> str:
    return subprocess.run(["ps", "-o", f"{what}=", "-p", str(pid)], check=True, capture_output=True, text=True).stdout
