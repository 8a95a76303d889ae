"""Figures: medians over rounds, ratios round by round, and whether a gate is reached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median


class Verdict(Enum):
    """How a gate came out."""

    PASS = "PASS"
    NOISE = "MISSED, within noise"
    MISSED = "MISSED"


@dataclass(frozen=True, slots=True)
class Gate:
    """A promise about speed.

    Attributes:
        name: what is compared.
        required: the bound.
        measured: one value for each round, at least one.
        at_least: whether `required` is a lower bound; False: an upper one.
        unit: what stands behind a value: `x` for a ratio, or ` %`.
    """

    name: str
    required: float
    measured: tuple[float, ...]
    at_least: bool = True
    unit: str = "x"

    @property
    def verdict(self) -> Verdict:
        """PASS by the median. The noise is the range of the rounds: a miss is within it where the best round passed."""
        best = max(self.measured) if self.at_least else min(self.measured)
        if self._reached(median(self.measured)):
            return Verdict.PASS
        return Verdict.NOISE if self._reached(best) else Verdict.MISSED

    def _reached(self, value: float) -> bool:
        return value >= self.required if self.at_least else value <= self.required


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, ...]:
    """Ours divided by theirs, round by round: what slows a round down slows both."""
    return tuple(mine / other for mine, other in zip(ours, theirs, strict=True))


def fastest(*peers: Sequence[float]) -> Sequence[float]:
    """The peer with the greatest median."""
    return max(peers, key=median)


def lesser(bound: float, measured: Iterable[float]) -> tuple[float, ...]:
    """A bound that holds until something else is the limit: in each round the lesser of both."""
    return tuple(min(bound, value) for value in measured)


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which that part (0 to 1) of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
