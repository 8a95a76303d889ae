# What the demo shows while it runs: a live picture on a terminal, a line every few seconds elsewhere.
from __future__ import annotations

import sys
import time

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

LINE_EVERY = 3.0  # seconds


class Lines:
    """For pipes and CI."""

    def __init__(self):
        self._printed = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def line(self, text):
        """A line that `geartrain run` printed."""
        print(f"    run | {text}", flush=True)

    def show(self, picture):
        if time.monotonic() - self._printed < LINE_EVERY:
            return
        self._printed = time.monotonic()
        counts = ", ".join(
            f"{info.id} {info.succeeded}" + (f" ({info.failed} failed)" if info.failed else "")
            for info in picture.registrations
        )
        spenders = f"{len(picture.spenders)} big spenders"
        print(f"{picture.elapsed:5.1f} s  {picture.orders} orders in | executions: {counts} | {spenders}", flush=True)


class Screen:
    """For terminals."""

    def __init__(self):
        self._live = Live(console=Console(), auto_refresh=False)

    def __enter__(self):
        self._live.start()
        return self

    def __exit__(self, *_):
        self._live.stop()

    def line(self, text):
        """`geartrain run` printed a line: the picture shows the same in its own way."""

    def show(self, picture):
        bar = ProgressBar(total=picture.seconds, completed=min(picture.elapsed, picture.seconds), width=40)
        head = Table.grid(padding=(0, 2))
        head.add_row(f"[bold]{picture.orders}[/] orders in", bar, f"{picture.url}")
        below = Table.grid(padding=(0, 2))
        below.add_row(
            Panel(_totals(picture), title="totals", width=46), Panel(_last(picture), title="last summary, last failure")
        )
        self._live.update(Group(head, _registrations(picture), below), refresh=True)


def _registrations(picture):
    table = Table(box=None, header_style="bold", expand=False)
    for name, side in (
        ("registration", "left"),
        ("what it does", "left"),
        ("executions", "right"),
        ("failed", "right"),
        ("records", "right"),
        ("lag", "right"),
    ):
        table.add_column(name, justify=side)
    for info in picture.registrations:
        failed = Text(str(info.failed), style="red" if info.failed else "")
        lag = "-" if info.lag is None else str(info.lag)
        table.add_row(info.id, info.description, str(info.triggered), failed, str(info.records), lag)
    return table


def _totals(picture):
    table = Table.grid(padding=(0, 1))
    most = max(picture.totals.values(), default=0)
    for customer, cents in sorted(picture.totals.items()):
        spender = customer in picture.spenders
        bar = Text("#" * round(18 * cents / max(1, most)), style="magenta" if spender else "cyan")
        table.add_row(customer, f"{cents / 100:>9,.2f}", bar, "big spender" if spender else "")
    return table


def _last(picture):
    failure = next((info.last_error for info in picture.registrations if info.last_error), "none yet")
    return Group(Text(picture.last_summary), Text(), Text(failure, style="red"))


def make_screen():
    return Screen() if sys.stdout.isatty() else Lines()
