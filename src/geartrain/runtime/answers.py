"""`call_next` and `override_reply`: what a function can do about a client that waits for it.

Whoever runs such a function says who its caller is: in the server the module (`answer_through`), in a worker the thread
that has taken a call or a linked event (`answering`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from geartrain.errors import GeartrainError
from geartrain.resp3 import Error, Status, encode
from geartrain.text import to_text
from geartrain.wire import Argument


class Caller(Protocol):
    """The client that waits for the running function."""

    def call_next(self, args: tuple[Argument, ...]) -> Any:
        """Call the next hook of the chain, or the original command; its reply."""

    def override(self, reply: bytes) -> None:
        """Give the client this reply, as RESP3 text, once."""


class Nobody:
    """No client waits.

    Args:
        why: what `override_reply` says then.
    """

    def __init__(self, why: str = "Can not get command ctx") -> None:
        self._why = why

    def call_next(self, args: tuple[Argument, ...]) -> Any:
        """Refused."""
        del args
        raise GeartrainError("call_next() works only in a function that hooks a command, while that runs")

    def override(self, reply: bytes) -> None:
        """Refused."""
        del reply
        raise GeartrainError(self._why)


_everybodys: Caller = Nobody()
_present: ContextVar[Caller | None] = ContextVar("geartrain_caller", default=None)
"""One for each thread; a coroutine of a step has that of the step's thread."""


def answer_through(caller: Caller) -> None:
    """Make `caller` that of all threads that have none of their own, for good."""
    global _everybodys  # noqa: PLW0603 - one for each process, set when it starts
    _everybodys = caller


@contextmanager
def answering(caller: Caller) -> Iterator[None]:
    """Make `caller` this thread's for a block."""
    token = _present.set(caller)
    try:
        yield
    finally:
        _present.reset(token)


def _caller() -> Caller:
    return _present.get() or _everybodys


def call_next(*args: Argument) -> Any:
    """In a function that hooks a command: call the hook that was registered before it, or the original command.

    Args:
        args: what follows the command's name: str, bytes, int or float.

    Returns:
        The reply, as `execute` gives it.

    Raises:
        CommandError: the reply is an error; where the function does not catch it, the client gets just that error.
        GeartrainError: the running function hooks no command.
    """
    return _caller().call_next(args)


def override_reply(reply: Any) -> None:
    """In a function of a KeysReader with `commands`: give the client that waits another reply.

    Args:
        reply: as `execute` gives replies; a text that begins with `-` is sent as an error, with `+` as a status.

    Raises:
        GeartrainError: no client waits for this execution (its command came within MULTI or a script, it has gone), or
            its reply has been overridden already: each command's can be once.
    """
    _caller().override(encode(_marked(reply)))


def _marked(reply: Any) -> Any:
    text = to_text(reply) if isinstance(reply, bytes) else reply
    if isinstance(text, str) and text[:1] == "-":
        return Error(text[1:])
    if isinstance(text, str) and text[:1] == "+":
        return Status(text[1:])
    return reply
