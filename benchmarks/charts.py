"""What is drawn: charts as plain data. `plots` draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bars:
    """A horizontal bar for each contestant: the median of its figures, with the least and the greatest.

    Attributes:
        name: of the file, without its suffix.
        title: above it.
        unit: of the figures.
        bars: figures, one for each round.
    """

    name: str
    title: str
    unit: str
    bars: Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Lines:
    """A line for each contestant.

    Attributes:
        name: of the file, without its suffix.
        title: above it.
        x: what goes to the right. With `labels`, points are numbered from 0 and named so.
        y: what goes up.
        lines: points.
        labels: of the points, instead of numbers.
        log: axes that are logarithmic: `x`, `y`, `xy` or none of them.
    """

    name: str
    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    labels: Sequence[str] = ()
    log: str = ""


Chart = Bars | Lines
