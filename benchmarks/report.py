"""Tables, as plain text for a terminal and as Markdown for a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.stats import Gate


@dataclass(frozen=True, slots=True)
class Table:
    """A table with what must be known to read it.

    Attributes:
        title: what was measured.
        kind: `gate` or `informational`.
        headers: of the columns; the first column is text, the others are figures.
        rows: of cells.
        method: how it was measured; Markdown.
        traps: what could deceive; a Markdown list.
    """

    title: str
    kind: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    method: str = ""
    traps: str = ""


def text(table: Table) -> str:
    """For a terminal."""
    lines = _aligned([table.headers, *table.rows])
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join([f"{table.title} ({table.kind})", "", *(f"  {line}".rstrip() for line in lines), ""])


def markdown(table: Table) -> str:
    """For a page."""
    rule = ["---", *["---:"] * (len(table.headers) - 1)]
    rows = [f"| {' | '.join(row)} |" for row in (table.headers, rule, *table.rows)]
    parts = [f"## {table.title} ({table.kind})", table.method.strip(), "\n".join(rows)]
    if table.traps:
        parts.append(f"Traps:\n\n{table.traps.strip()}")
    return "\n\n".join(part for part in parts if part) + "\n"


def gates_table(gates: Iterable[Gate]) -> Table:
    """The verdicts."""
    rows = [
        [gate.name, ("at least " if gate.at_least else "at most ") + f"{gate.required:g}{gate.unit}",
         f"{median(gate.measured):.2f}{gate.unit}",
         f"{min(gate.measured):.2f}..{max(gate.measured):.2f}", gate.verdict.value]
        for gate in gates
    ]  # fmt: skip
    return Table("Gates", "gate", ("what", "required", "median", "min..max", "verdict"), rows)


def count(value: float) -> str:
    """A large number for people: three digits that count."""
    return f"{value:,.0f}"


def count_range(values: Sequence[float]) -> str:
    """Least and greatest of several large numbers."""
    return f"{count(min(values))}..{count(max(values))}"


def spread(values: Sequence[float]) -> str:
    """Least and greatest of several ratios, with their median first."""
    return f"{median(values):.2f} ({min(values):.2f}..{max(values):.2f})"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    return [
        "  ".join([row[0].ljust(first), *(cell.rjust(width) for cell, width in zip(row[1:], others, strict=True))])
        for row in rows
    ]
