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
        """A line that a command printed."""
        print(f"    worker | {text}", flush=True)

    def say(self, text):
        """What the demo does."""
        print(f"  ** {text}", flush=True)

    def show(self, picture):
        if time.monotonic() - self._printed < LINE_EVERY:
            return
        self._printed = time.monotonic()
        counts = ", ".join(
            f"{info.id} {info.succeeded}" + (f" ({info.failed} failed)" if info.failed else "")
            for info in picture.registrations
        )
        parts = [f"{picture.orders} orders in", f"executions: {counts}", f"{len(picture.spenders)} big spenders"]
        if picture.stock:
            parts.append(f"stock seen at once {picture.seen}")
        print(f"{picture.elapsed:5.1f} s  {' | '.join(parts)}", flush=True)


class Screen:
    """For terminals."""

    def __init__(self):
        self._live = Live(console=Console(), auto_refresh=False)
        self._said = ""

    def __enter__(self):
        self._live.start()
        return self

    def __exit__(self, *_):
        self._live.stop()

    def line(self, text):
        """A command printed a line: the picture shows the same in its own way."""

    def say(self, text):
        """What the demo does."""
        self._said = text

    def show(self, picture):
        bar = ProgressBar(total=picture.seconds, completed=min(picture.elapsed, picture.seconds), width=40)
        head = Table.grid(padding=(0, 2))
        head.add_row(f"[bold]{picture.orders}[/] orders in", bar, f"{picture.url}", _worker(picture))
        below = Table.grid(padding=(0, 2))
        panels = [Panel(_totals(picture), title="totals", width=52)]
        if picture.stock:
            panels.append(Panel(_stock(picture), title="stock", width=40))
        below.add_row(*panels)
        last = Panel(_last(picture), title="last summary, last failure", width=94)
        said = Text(self._said, style="bold yellow")
        self._live.update(Group(head, said, _registrations(picture), below, last), refresh=True)


def _worker(picture):
    return Text("worker: runs", style="green") if picture.worker else Text("worker: none", style="bold red")


def _registrations(picture):
    table = Table(box=None, header_style="bold", expand=False)
    for name, side in (
        ("registration", "left"),
        ("what it does", "left"),
        ("in the", "left"),
        ("executions", "right"),
        ("failed", "right"),
        ("records", "right"),
        ("lag", "right"),
    ):
        table.add_column(name, justify=side)
    for info in picture.registrations:
        failed = Text(str(info.failed), style="red" if info.failed else "")
        lag = "-" if info.lag is None else str(info.lag)
        place = "server" if info.mode == "sync" else "worker"
        table.add_row(info.id, info.description, place, str(info.triggered), failed, str(info.records), lag)
    return table


def _stock(picture):
    table = Table.grid(padding=(0, 1))
    for item, left in picture.stock.items():
        table.add_row(item, f"{left:>9,} left")
    seen = Text(f"seen by the next read: {picture.seen} of {picture.orders}", style="cyan")
    return Group(table, seen)


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
