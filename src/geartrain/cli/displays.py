"""Where `geartrain run` shows the status: lines in a file or a pipe, a live table on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from geartrain.client import RegistrationInfo

_PROGRESS = 10.0
"""Seconds between two lines of a registration's counters."""

_STYLES = {"active": "green", "paused": "yellow", "aborted": "red"}


class Display(AbstractContextManager["Display"], Protocol):
    """What both have."""

    on_output: Callable[[str], None] | None
    """Where lines of workers go; None: straight to where our own go."""

    def say(self, text: str) -> None:
        """Show a text of one line or more, once."""

    def status(self, infos: Sequence[RegistrationInfo], rates: Mapping[str, float], now: float) -> None:
        """Show the counters."""


def make_display() -> Display:
    """The one that fits to standard output."""
    return LiveDisplay(Console()) if sys.stdout.isatty() else LineDisplay()


class LineDisplay(Display):
    """Lines: what is new at once, counters now and then, where they have changed."""

    on_output = None

    def __init__(self) -> None:
        self._shown: dict[str, tuple[float, int, int]] = {}

    def say(self, text: str) -> None:
        """Print it."""
        click.echo(text)

    def status(self, infos: Sequence[RegistrationInfo], rates: Mapping[str, float], now: float) -> None:
        """Print a line for each registration that has done something, at most one in ten seconds."""
        for info in infos:
            at, triggered, failed = self._shown.get(info.id, (now, 0, 0))
            if info.id not in self._shown:
                self._shown[info.id] = (now, info.triggered, info.failed)
            elif now - at >= _PROGRESS and (triggered, failed) != (info.triggered, info.failed):
                self._shown[info.id] = (now, info.triggered, info.failed)
                lag = "" if info.lag is None else f", lag {info.lag}"
                rate = rates.get(info.id, 0.0)
                counts = f"triggered {info.triggered}, succeeded {info.succeeded}, failed {info.failed}"
                click.echo(f"{info.id}: {counts}{lag}, {rate:.0f} records/s")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to do."""


class LiveDisplay(Display):
    """A table that stays at the bottom; everything else scrolls by above it.

    Args:
        console: the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False)
        self.on_output = self.say

    def say(self, text: str) -> None:
        """Print it above the table."""
        self._console.print(Text(text), soft_wrap=True)

    def status(self, infos: Sequence[RegistrationInfo], rates: Mapping[str, float], now: float) -> None:  # noqa: ARG002
        """Draw the table."""
        self._live.update(Group(table(infos, rates), *_errors(infos)), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last table where it is."""
        self._live.stop()


def table(infos: Sequence[RegistrationInfo], rates: Mapping[str, float]) -> Table:
    """All registrations."""
    made = Table(box=None, header_style="bold", pad_edge=False)
    made.add_column("REGISTRATION", overflow="fold", min_width=12)
    made.add_column("STATUS")
    made.add_column("DELIVERY")
    for name in ("TRIGGERED", "SUCCEEDED", "FAILED", "LAG", "RATE/s"):
        made.add_column(name, justify="right")
    for info in infos:
        made.add_row(
            Text(info.id),
            Text(info.status.value, style=_STYLES[info.status.value]),
            info.delivery.value,
            f"{info.triggered:,}",
            f"{info.succeeded:,}",
            Text(f"{info.failed:,}", style="red" if info.failed else ""),
            "-" if info.lag is None else f"{info.lag:,}",
            f"{rates.get(info.id, 0.0):,.0f}",
        )
    return made


def _errors(infos: Sequence[RegistrationInfo]) -> list[Text]:
    """The last error of each registration that had one, cut to a line."""
    return [
        Text(f"{info.id}: {' '.join(info.last_error.split())}", style="red", no_wrap=True, overflow="ellipsis")
        for info in infos
        if info.last_error is not None
    ]
