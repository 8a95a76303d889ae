"""All results as one page: what a terminal shows, and `docs/benchmarks.md`."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.report import Table, gates_table, markdown, text
from benchmarks.stats import Gate

INTRODUCTION = """\
# Benchmarks

This page is written by `{command}`. All contestants ran in one run, against the same server, interleaved: A, B, C, A,
B, C, {rounds} rounds. Figures are medians over the rounds. Ratios compare figures of the same round, so that
what slowed
the machine down for a while slowed both sides; `min..max` of the ratios is the noise. A gate is a ratio that must be
reached; informational figures are there to be known.

Absolute figures depend on the machine: {machine}. {date}. {versions}.
"""


@dataclass(frozen=True, slots=True)
class Page:
    """The results of a run.

    Attributes:
        tables: of the measurements.
        gates: that were judged.
        server: the reply to `INFO server`.
        rounds: that were run.
        seconds: that it took.
    """

    tables: Sequence[Table]
    gates: Sequence[Gate]
    server: Mapping[str, Any]
    rounds: int
    seconds: float

    def text(self) -> str:
        """For a terminal."""
        head = f"{_machine()}\n{_versions(self.server)}\n{self.rounds} rounds, {self.seconds:.0f} s\n"
        return "\n".join([head, *map(text, self.tables), text(gates_table(self.gates))])

    def markdown(self, command: str) -> str:
        """For the documentation."""
        head = INTRODUCTION.format(
            command=command,
            rounds=self.rounds,
            machine=_machine(),
            date=f"{datetime.now(UTC):%Y-%m-%d}, {self.seconds / 60:.1f} minutes",
            versions=_versions(self.server),
        )
        return "\n".join([head, markdown(gates_table(self.gates)), *map(markdown, self.tables)])


def command() -> str:
    """The command that is running, as a reader would type it."""
    return " ".join(["python -m benchmarks", *sys.argv[1:]])


def _machine() -> str:
    return f"{os.cpu_count()} cores ({_processor()}), {platform.system()} {platform.machine()}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _versions(server: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("geartrain", "redis", "hiredis", "faststream"))
    name = f"Valkey {server['valkey_version']}" if "valkey_version" in server else f"Redis {server['redis_version']}"
    return f"Python {platform.python_version()}, {name}, {packages}"
