"""What a benchmark is, how large it is made, and how its contestants take turns. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from benchmarks.charts import Chart
from benchmarks.report import Table
from benchmarks.stats import Gate

T = TypeVar("T")

Say = Callable[[str], None]
"""Told one line about each measurement, while it goes on."""


class Broken(Exception):
    """A measurement could not be made."""


class Kind(Enum):
    """What a benchmark is for."""

    GATE = "gate"
    """Some of its ratios must be reached."""

    INFORMATIONAL = "informational"
    """It is there to be known."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        rounds: how often each contestant has its turn; benchmarks that take long have fewer, see `at_most`.
        quick: whether it is only to be seen that everything runs; the figures then say nothing.
    """

    rounds: int = 5
    quick: bool = False

    def pick(self, full: T, quick: T) -> T:
        """One or the other."""
        return quick if self.quick else full

    def at_most(self, rounds: int) -> int:
        """Rounds of a benchmark that takes long."""
        return min(self.rounds, rounds)

    @property
    def entries(self) -> int:
        """Entries of a stream that is drained."""
        return self.pick(1_200_000, 200_000)

    @property
    def window(self) -> float:
        """Seconds of one measurement of throughput."""
        return self.pick(2.0, 0.3)


@dataclass(frozen=True, slots=True)
class Findings:
    """What a benchmark has found.

    Attributes:
        tables: figures.
        gates: judged ratios; none where the benchmark is informational.
        charts: drawn on the page.
        notes: what the reader must know of this run: who did not take part, and why.
    """

    tables: Sequence[Table]
    gates: Sequence[Gate] = ()
    charts: Sequence[Chart] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A benchmark: each module of `benchmarks.parts` has one, as `BENCHMARK`.

    Attributes:
        name: for `--only`; one word.
        title: of its section on the page.
        kind: whether it has gates.
        contestants: who takes part, in the order of a round.
        method: how it is measured; Markdown.
        traps: what could deceive whoever reads the figures; a Markdown list.
        measure: does it, and takes no longer than three minutes at its full size.
    """

    name: str
    title: str
    kind: Kind
    contestants: Sequence[str]
    method: str
    traps: str
    measure: Callable[[Sizes, Say], Findings]


@dataclass(frozen=True, slots=True)
class Contestant(Generic[T]):
    """Somebody who is measured.

    Attributes:
        run: has its turn once; gives what was measured.
        optional: whether the others go on where it cannot run here.
        show: a figure for `Say`.
    """

    run: Callable[[], T]
    optional: bool = False
    show: Callable[[T], str] = "{:,.0f}/s".format


@dataclass(frozen=True, slots=True)
class Rounds(Generic[T]):
    """What contestants reached.

    Attributes:
        figures: one for each round, by name.
        absent: who could not run, and why.
    """

    figures: dict[str, list[T]]
    absent: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> list[T]:
        return self.figures[name]

    @property
    def notes(self) -> list[str]:
        """Who did not take part."""
        return [f"{name} did not take part: {reason}" for name, reason in self.absent.items()]


def interleaved(title: str, contestants: Mapping[str, Contestant[T]], rounds: int, say: Say) -> Rounds[T]:
    """Let all have their turn, one after the other, again and again: A, B, C, A, B, C.

    Raises:
        Broken: one that is not optional could not run.
    """
    result: Rounds[T] = Rounds({name: [] for name in contestants})
    for number in range(1, rounds + 1):
        for name, contestant in contestants.items():
            if name in result.absent:
                continue
            try:
                figure = contestant.run()
            except Broken as error:
                if not contestant.optional:
                    raise
                result.absent[name] = str(error)
                del result.figures[name]
                say(f"{title} {number}/{rounds}: {name}: does not run here: {error}")
                continue
            result[name].append(figure)
            say(f"{title} {number}/{rounds}: {name}: {contestant.show(figure)}")
    return result
