"""The options of `geartrain worker` (and `run`) that become a worker's settings, made from one table."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import click

from geartrain.config import WorkerSettings

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _Tunable:
    """One field of WorkerSettings, as an option.

    Attributes:
        field: its name.
        least: the least value that makes sense.
        metavar: what the value is.
        help: what it does.
    """

    field: str
    least: float
    metavar: str
    help: str


_TUNABLES = (
    _Tunable("threads", 1, "T", "Executions at the same time in one process."),
    _Tunable("lease_ttl", 0.5, "SECONDS", "A dead worker's streams go to others after this time."),
    _Tunable("commit_interval", 0, "SECONDS", "Finished work is committed within this time while there is more."),
    _Tunable("scan_interval", 0.1, "SECONDS", "Between two scans for new streams that match a pattern."),
    _Tunable("prefetch", 1, "RECORDS", "Records of one stream that are held in memory."),
    _Tunable("stop_deadline", 0, "SECONDS", "A stop waits this long for running executions."),
    _Tunable("history", 1, "COUNT", "Executions that `geartrain show` can list for each registration."),
    _Tunable("wait_replicas", 0, "N", "Commit what N replicas of the server have; they are waited for."),
    _Tunable("wait_timeout", 0.001, "SECONDS", "Go on after this time (at most 20), however many replicas answer."),
)


class _Number(click.FloatRange):
    """A number with a least value; click calls it a `float range` to people."""

    name = "number"


_DEFAULTS = {field.name: field.default for field in fields(WorkerSettings)}


def processes_option(function: F) -> F:
    """`--processes N`, argument `processes: int`."""
    return click.option(
        "--processes",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        metavar="N",
        help="Worker processes to run, each with a Python of its own.",
    )(function)


def settings_options(function: F) -> F:
    """All options of the table above, argument `settings: WorkerSettings`."""
    return _options(function, _TUNABLES)


def replication_options(function: F) -> F:
    """`--wait-replicas` and `--wait-timeout`, argument `settings: WorkerSettings`."""
    return _options(function, [tunable for tunable in _TUNABLES if tunable.field.startswith("wait_")])


def _options(function: F, tunables: Sequence[_Tunable]) -> F:
    @functools.wraps(function)
    def collect(*args: Any, **kwargs: Any) -> Any:
        given = {tunable.field: kwargs.pop(tunable.field) for tunable in tunables}
        return function(*args, settings=WorkerSettings(**given), **kwargs)

    decorated: Any = collect
    for tunable in reversed(tunables):
        default = _DEFAULTS[tunable.field]
        kind = click.IntRange(int(tunable.least)) if isinstance(default, int) else _Number(tunable.least)
        decorated = click.option(
            f"--{tunable.field.replace('_', '-')}",
            type=kind,
            default=default,
            show_default=True,
            metavar=tunable.metavar,
            help=tunable.help,
        )(decorated)
    made: F = decorated
    return made
