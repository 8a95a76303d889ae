"""`execute` and the other functions that a step or a script may call."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal

from geartrain import keys
from geartrain.config import given_options
from geartrain.errors import ArgumentError, CommandError
from geartrain.extension import extension
from geartrain.runtime.deferring import SEND_AT
from geartrain.runtime.threads import current
from geartrain.wire import Argument

_LEVELS = {
    "debug": logging.DEBUG,
    "verbose": logging.DEBUG,
    "notice": logging.INFO,
    "warning": logging.WARNING,
}

logger = logging.getLogger("geartrain.script")

_SHORTEST_HOLD = 0.001
_LONGEST_HOLD = 60.0
"""Seconds that the server can be held for one block."""


class _Execute:
    """Runs commands on the server.

    `execute` is this class's one instance: a function with the attribute `later`.
    """

    __name__ = "execute"

    def __call__(self, command: str | bytes, *args: Argument) -> Any:
        """Run a command on the server and return its reply.

        In a worker, a call whose reply nobody can notice (the last effect of a `foreach`, without a `try` around it) is
        sent together with those of the other records of its batch, and returns None at once. It is done before the
        batch counts as done, and its error is reported for its step and record.

        In the server (`mode='sync'`) every call is made at once, with the permissions of the user who registered.

        Args:
            command: the command's name, as in `execute('set', 'key', 'value')`.
            args: str, bytes, int or float.

        Returns:
            int, str (bytes where it is not valid UTF-8), None, or a list of these.

        Raises:
            CommandError: the server answered with an error; it names the command.
            ArgumentError: an argument of another type.
            ServerUnavailable: the server cannot be reached.
        """
        context = current()
        if context.tail_calls:
            frame = sys._getframe(1)
            if (id(frame.f_code), frame.f_lasti) in context.tail_calls:
                return context.defer(command, args)
        return context.execute(command, args)

    def later(self, command: str | bytes, *args: Argument) -> None:
        """Run a command before this batch counts as done, without waiting for its reply here.

        Commands keep their order. An error fails the execution, and is reported for the step and record that issued it.
        In the server the command runs at once.

        Raises:
            ArgumentError: an argument of another type than str, bytes, int, float.
        """
        current().defer(command, args)

    def __reduce__(self) -> str:
        return "execute"

    def __repr__(self) -> str:
        return "<function geartrain.execute>"


execute = _Execute()


def implement(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have another callable, written in C, do what a call of `execute` does; returns what did it until then."""
    before = execute.__call__
    _Execute.__call__ = function  # type: ignore[method-assign]
    return before


if extension is not None:
    extension.prepare(implement(extension.execute), SEND_AT)


class Atomic:
    """What `atomic()` gives: a context manager that holds the server for its block."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    def __enter__(self) -> None:
        current().hold(self._timeout)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        current().let_go()


def atomic(timeout: float = 1.0) -> Atomic:
    """Hold the server for the block of a `with` statement, so that nobody sees a state in between.

    In a worker all other clients wait meanwhile, so keep the block short: it is for commands that depend on each
    other's replies. Its writes reach the append-only file and replicas together. It needs the server module, the
    permission for `GEARTRAIN.ATOMIC`, and a connection without TLS. In the server (`mode='sync'`) it does nothing: the
    whole function is one transaction with the write that caused it.

    Args:
        timeout: seconds, 0.001 to 60, after which the server goes on with others, and the block's next command raises
            an error. What the block has done until then stays.

    Raises:
        ArgumentError: another timeout; a block within another.
        NeedsModule: when the block is entered in a worker: the server has no module.
        CommandError: the server refuses, or the time is over.
    """
    if (
        isinstance(timeout, bool)
        or not isinstance(timeout, int | float)
        or not _SHORTEST_HOLD <= timeout <= _LONGEST_HOLD
    ):
        raise ArgumentError(f"atomic: timeout is {timeout!r}; it must be a number of seconds from 0.001 to 60")
    return Atomic(timeout)


def log(message: object, level: Literal["debug", "verbose", "notice", "warning"] = "notice") -> None:
    """Write a line to the log of the process that runs this.

    Args:
        message: anything; `str()` of it is written.
        level: debug, verbose, notice or warning.
    """
    if level not in _LEVELS:
        raise ArgumentError(f"log: level is {level!r}; it must be one of {', '.join(_LEVELS)}")
    logger.log(_LEVELS[level], "%s", message)


def hashtag() -> str:
    """A tag of the shard that this runs on: a key with `{tag}` in its name is a key of that shard."""
    return current().hashtag()


def hashtag3() -> str:
    """`hashtag()` in braces, ready to be put into a key's name."""
    return f"{{{hashtag()}}}"


def streamKey() -> str | bytes | None:  # noqa: N802 - beside streamId, RedisGears' spelling
    """The name of the stream that the records of this execution come from; None where they come from no stream."""
    return current().stream


def configGet(name: str) -> str | bytes | None:  # noqa: N802 - RedisGears' name
    """The server's setting of that name (`CONFIG GET`), else RedisGears' (`gearsConfigGet`), or None."""
    reply = execute("CONFIG", "GET", name)
    value: str | bytes | None = reply[1] if reply else gearsConfigGet(name)
    return value


def gearsConfigGet(name: str, default: Any = None) -> Any:  # noqa: N802 - RedisGears' name
    """RedisGears' setting of that name, or one of your own, or `default` where there is none.

    What was set (`RG.CONFIGSET`, the hash `geartrain:{registry}:config`) wins over what the module was given at load.
    """
    value = execute("HGET", keys.CONFIG, name)
    if value is None:
        value = _given().get(name.lower())
    return default if value is None else value


def _given() -> dict[str, Any]:
    """What the server module was given, by name in lower case; nothing where there is none, or it may not be asked."""
    try:
        return given_options(execute("GEARTRAIN.CONFIG"))
    except CommandError:
        return {}
