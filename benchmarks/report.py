"""Tables, as plain text for a terminal and as Markdown for a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.stats import Gate, ratios


@dataclass(frozen=True, slots=True)
class Table:
    """Figures.

    Attributes:
        headers: of the columns; the first column is text, the others are figures.
        rows: of cells.
        title: above it, where a section has several; '' for none.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""


def text(table: Table) -> str:
    """For a terminal."""
    lines = _aligned([table.headers, *table.rows])
    lines.insert(1, "-" * max(map(len, lines)))
    title = [f"{table.title}:", ""] if table.title else []
    return "\n".join([*title, *(f"  {line}".rstrip() for line in lines), ""])


def markdown(table: Table) -> str:
    """For a page."""
    rule = ["---", *["---:"] * (len(table.headers) - 1)]
    rows = "\n".join(f"| {' | '.join(row)} |" for row in (table.headers, rule, *table.rows))
    return f"{table.title}:\n\n{rows}\n" if table.title else f"{rows}\n"


def gates_table(gates: Iterable[Gate]) -> Table:
    """The verdicts."""
    rows = [
        [gate.name, ("at least " if gate.at_least else "at most ") + f"{gate.required:.3g}{gate.unit}",
         f"{median(gate.measured):.2f}{gate.unit}",
         f"{min(gate.measured):.2f}..{max(gate.measured):.2f}", gate.verdict.value]
        for gate in gates
    ]  # fmt: skip
    return Table(("what", "required", "median", "min..max", "verdict"), rows)


def rates_table(what: str, figures: Mapping[str, Sequence[float]], columns: Mapping[str, str]) -> Table:
    """Rates of contestants, and their ratios to some of them.

    Args:
        what: the first column's header: the unit.
        figures: by contestant, one for each round.
        columns: contestants that the others are compared with, by what the column is called; those that did not run
            have no column.
    """
    present = {header: figures[name] for header, name in columns.items() if name in figures}
    rows = [
        [name, count(median(mine)), f"{count(min(mine))}..{count(max(mine))}",
         *(f"{median(ratios(mine, other)):.2f}" for other in present.values())]
        for name, mine in figures.items()
    ]  # fmt: skip
    return Table((what, "median", "min..max", *present), rows)


def count(value: float) -> str:
    """A large number for people."""
    return f"{value:,.0f}"


def spread(values: Sequence[float]) -> str:
    """Least and greatest of several ratios, with their median first."""
    return f"{median(values):.2f} ({min(values):.2f}..{max(values):.2f})"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    return [
        "  ".join([row[0].ljust(first), *(cell.rjust(width) for cell, width in zip(row[1:], others, strict=True))])
        for row in rows
    ]
