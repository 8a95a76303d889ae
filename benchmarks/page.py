"""All results as one page: what a terminal shows, and `docs/benchmarks.md` with its charts."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks import plots
from benchmarks.report import gates_table, markdown, text
from benchmarks.stats import Gate
from benchmarks.suite import Benchmark, Findings

PROFILE = "benchmarks-profile.md"
"""A page beside the written one: where the time goes, for gates that are not reached. People write it; it is linked
where it is there."""

INTRODUCTION = """\
# Benchmarks

This page and its charts are written by `{command}`. The contestants of a benchmark ran in turns, A, B, C, A, B, C,
{rounds} times (fewer where that takes long). Figures are medians over the rounds. Ratios compare figures of the same
round, so that what slowed the machine down for a while slowed both sides; *min..max* of the ratios is the noise. A
*gate* is a ratio that must be reached: by the median, or it is *missed, within noise* where the best round reached it.
*Informational* benchmarks are there to be known. [CONTRIBUTING](../CONTRIBUTING.md) says how to run them.

Absolute figures depend on the machine: {machine}. {date}. {versions}.
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a benchmark.

    Attributes:
        benchmark: which one.
        findings: what it found; None: it broke.
        trouble: why it broke; ''.
        seconds: that it took.
    """

    benchmark: Benchmark
    findings: Findings | None
    trouble: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Page:
    """The results of a run.

    Attributes:
        outcomes: of the benchmarks, in their order.
        server: name and version of the server.
        rounds: that were asked for.
    """

    outcomes: Sequence[Outcome]
    server: str
    rounds: int

    @property
    def gates(self) -> list[Gate]:
        """All that were judged."""
        return [gate for outcome in self.outcomes if outcome.findings for gate in outcome.findings.gates]

    @property
    def seconds(self) -> float:
        """That all of it took."""
        return sum(outcome.seconds for outcome in self.outcomes)

    def text(self) -> str:
        """For a terminal."""
        parts = [f"{_machine()}\n{_versions(self.server)}\nrounds: {self.rounds}, {self.seconds:.0f} s\n"]
        for outcome in self.outcomes:
            title = f"{outcome.benchmark.title} ({outcome.benchmark.kind.value}, {outcome.seconds:.0f} s)\n"
            parts += [title, *(f"  {note}\n" for note in _notes(outcome))]
            parts += [text(table) for table in outcome.findings.tables] if outcome.findings else []
        if self.gates:
            parts += ["Gates\n", text(gates_table(self.gates))]
        return "\n".join(parts)

    def write(self, path: Path) -> None:
        """Write the page, and its charts into a folder of its name beside it."""
        folder = path.with_suffix("")
        charts = [chart for outcome in self.outcomes if outcome.findings for chart in outcome.findings.charts]
        plots.draw(charts, folder)
        profile = path.with_name(PROFILE).exists()
        path.write_text("\n".join(self._sections(folder.name, profile=profile)))

    def _sections(self, folder: str, *, profile: bool) -> Iterator[str]:
        yield INTRODUCTION.format(
            command=command(),
            rounds=self.rounds,
            machine=_machine(),
            date=f"{datetime.now(UTC):%Y-%m-%d}, {self.seconds / 60:.0f} minutes",
            versions=_versions(self.server),
        )
        if self.gates:
            yield f"## Gates\n\n{markdown(gates_table(self.gates))}"
        if profile:
            yield f"Where the time goes, for those that are not reached: [profile]({PROFILE}).\n"
        for outcome in self.outcomes:
            yield from _section(outcome, folder)


def _section(outcome: Outcome, folder: str) -> Iterator[str]:
    benchmark = outcome.benchmark
    yield f"## {benchmark.title} ({benchmark.kind.value})\n"
    yield benchmark.method
    yield from (f"{note}.\n" for note in _notes(outcome))
    if outcome.findings:
        yield from map(markdown, outcome.findings.tables)
        yield from (f"![{chart.title}]({folder}/{chart.name}.svg)\n" for chart in outcome.findings.charts)
    yield f"Traps:\n\n{benchmark.traps}"


def _notes(outcome: Outcome) -> list[str]:
    if outcome.findings is None:
        return [f"It could not be measured: {outcome.trouble}"]
    return list(outcome.findings.notes)


def command() -> str:
    """The command that is running, as a reader would type it."""
    arguments = " ".join(sys.argv[1:])
    return f'make bench ARGS="{arguments}"' if arguments else "make bench"


def _machine() -> str:
    return f"{os.cpu_count()} cores ({_processor()}), {platform.system()} {platform.machine()}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _versions(server: str) -> str:
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("geartrain", "redis", "hiredis", "faststream", "walrus")
    )
    return f"Python {platform.python_version()}, {server}, {packages}"
