"""Where `register()` and `run()` go: the builder knows only this protocol, never a connection.

A script is run with a host in place (`hosted`); outside of one, `register()` and `run()` say what to do instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def hosted(host: Host) -> Iterator[None]:
    """Make `host` the one that `register()` and `run()` of this context reach."""
    token = enter_host(host)
    try:
        yield
    finally:
        leave_host(token)


enter_host = _current.set
leave_host = _current.reset
"""What `hosted` does, for whom its microsecond matters."""


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
