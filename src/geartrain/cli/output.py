"""What subcommands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from typing import Any

import click


def note(text: str) -> None:
    """A line for people, on standard error: warnings, progress."""
    click.echo(f"geartrain: {text}", err=True)


def print_json(value: Any) -> None:
    """A JSON document on standard output: indented on a terminal, on one line otherwise."""
    indent = 2 if sys.stdout.isatty() else None
    click.echo(json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output: drawn by rich on a terminal, aligned columns of plain text otherwise.

    Where the terminal is too narrow, the first and the last column take several lines.
    """
    if sys.stdout.isatty():
        _print_rich(columns, rows)
        return
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - costs 50 ms, and only terminals need it
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=None, header_style="bold", pad_edge=False)
    first, *inner, last = columns
    table.add_column(first, overflow="fold")
    for column in inner:
        table.add_column(column, no_wrap=True)
    table.add_column(last, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def log_to_stderr(line: str = "%(message)s", level: int = logging.INFO) -> None:
    """Write what scripts log, and what we do, to standard error.

    Args:
        line: the format of a line, as in `logging.Formatter`.
        level: the least level that is written.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(line))
    logger = logging.getLogger("geartrain")
    logger.handlers = [handler]
    logger.setLevel(level)
    logger.propagate = False
