"""`execute` and the other functions that a step or a script may call."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal, NoReturn

from geartrain import keys
from geartrain.errors import ArgumentError, NeedsModule
from geartrain.runtime.context import current
from geartrain.wire import Argument, pack

_ARGUMENT_TYPES = frozenset({str, bytes, int, float})

_LEVELS = {
    "debug": logging.DEBUG,
    "verbose": logging.DEBUG,
    "notice": logging.INFO,
    "warning": logging.WARNING,
}

logger = logging.getLogger("geartrain.script")


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
        packed = _packed(command, args)
        context = current()
        if context.tail_calls:
            frame = sys._getframe(1)
            if (id(frame.f_code), frame.f_lasti) in context.tail_calls:
                return context.defer(packed)
        context.flush()
        return context.link.call_packed(packed, command)

    def later(self, command: str | bytes, *args: Argument) -> None:
        """Run a command before this batch counts as done, without waiting for its reply here.

        Commands keep their order. An error fails the execution, and is reported for the step and record that issued it.

        Raises:
            ArgumentError: an argument of another type than str, bytes, int, float.
        """
        current().defer(_packed(command, args))

    def __reduce__(self) -> str:
        return "execute"

    def __repr__(self) -> str:
        return "<function geartrain.execute>"


execute = _Execute()


def _packed(command: str | bytes, args: tuple[Argument, ...]) -> bytes:
    for arg in args:
        if type(arg) not in _ARGUMENT_TYPES:
            args = tuple(_accepted(command, number, item) for number, item in enumerate(args, 1))
            break
    return pack((command, *args))


def _accepted(command: str | bytes, number: int, arg: Any) -> Argument:
    """An argument of a less usual type, as one that the protocol knows."""
    if isinstance(arg, bytearray | memoryview):
        return bytes(arg)
    if isinstance(arg, str | bytes | int | float) and not isinstance(arg, bool):
        kind = next(kind for kind in _ARGUMENT_TYPES if isinstance(arg, kind))
        exact: Argument = kind(arg)
        return exact
    raise ArgumentError(
        f"execute({command!r}): argument {number} is {arg!r} ({type(arg).__name__}); a command takes str, bytes, int or"
        " float: convert it first, for example with str()"
    )


def atomic() -> NoReturn:
    """Hold the server for the block of a `with` statement, so that nobody sees a state in between.

    Raises:
        NeedsModule: always, in this version: only the server module can hold the server.
    """
    raise NeedsModule(
        "atomic() needs the server module, which this version does not have; where all keys are known beforehand, send"
        " one command that does it all, or a Lua script: execute('eval', SCRIPT, ...)"
    )


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
    return keys.slot_tag(0).decode()


def streamKey() -> str | bytes | None:  # noqa: N802 - beside streamId, RedisGears' spelling
    """The name of the stream that the records of this execution come from; None where they come from no stream."""
    return current().stream


def configGet(name: str) -> str | bytes | None:  # noqa: N802 - RedisGears' name
    """The server's setting of that name (`CONFIG GET`), or None where there is none."""
    reply = execute("CONFIG", "GET", name)
    return reply[1] if reply else None


def gearsConfigGet(name: str, default: Any = None) -> Any:  # noqa: N802 - RedisGears' name
    """Geartrain's setting of that name (the hash `geartrain:{registry}:config`), or `default` where there is none."""
    value = execute("HGET", keys.CONFIG, name)
    return default if value is None else value
