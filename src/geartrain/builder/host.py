"""Where `register()` and `run()` go: the builder knows only this protocol, never a connection.

A script is run with a host in place (`hosted`); outside of one, `register()` and `run()` say what to do instead.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from geartrain.config import Dialect
from geartrain.errors import ArgumentError

if TYPE_CHECKING:
    from geartrain.builder.requests import RegisterRequest, RunRequest


class Host(Protocol):
    """Takes what a script submits."""

    dialect: Dialect

    def register(self, request: RegisterRequest) -> str:
        """Keep a registration; returns its id."""

    def run(self, request: RunRequest) -> list[Any]:
        """Execute a pipeline at once over existing data; returns its results."""


_current: ContextVar[Host | None] = ContextVar("geartrain_host", default=None)


class hosted:  # noqa: N801 - used as a function; of a generator it would cost an execution half a microsecond more
    """Make `host` the one that `register()` and `run()` of this context reach, for a `with` block."""

    __slots__ = ("_host", "_token")

    def __init__(self, host: Host) -> None:
        self._host = host

    def __enter__(self) -> None:
        self._token = _current.set(self._host)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


def current_host(verb: str) -> Host:
    """The host in place; an ArgumentError that says how to get one where there is none."""
    host = _current.get()
    if host is None:
        raise ArgumentError(
            f"{verb}() was called outside of a session: submit the script with `geartrain run SCRIPT` or"
            " `geartrain register SCRIPT`, or call it inside `with geartrain.Client(url).session(name):`"
        )
    return host


def current_dialect() -> Dialect:
    """The session's dialect; geartrain where there is none."""
    host = _current.get()
    return Dialect.GEARTRAIN if host is None else host.dialect
