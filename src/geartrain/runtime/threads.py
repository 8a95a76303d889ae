"""Whose surroundings a thread has: those that it entered, that it has borrowed, or a context of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache

from geartrain.errors import GeartrainError
from geartrain.extension import extension
from geartrain.runtime.background import endpoint_of_loan, is_loop, lent
from geartrain.runtime.context import Context
from geartrain.runtime.surroundings import Surroundings
from geartrain.wire import Endpoint


class _Contexts(threading.local):
    current: Surroundings | None = None


_contexts = _Contexts()
_process_endpoint: Endpoint | None = None
_entered: Callable[[Surroundings | None], None] | None = None


def install(endpoint: Endpoint) -> None:
    """The server that threads without a context of their own talk to, for the rest of this process."""
    global _process_endpoint  # noqa: PLW0603 - one server for each process, set once when it starts
    _process_endpoint = endpoint


def enter(context: Surroundings | None) -> Surroundings | None:
    """Make `context` this thread's; returns the one before."""
    before, _contexts.current = _contexts.current, context
    if extension is not None:
        extension.enter(context, getattr(context, "commands", None))
    if _entered is not None:
        _entered(context)
    return before


def watch(entered: Callable[[Surroundings | None], None]) -> None:
    """Have `entered` called with each context that a thread of this process enters, in that thread."""
    global _entered  # noqa: PLW0603 - one watcher for each process: the server that it is in
    _entered = entered


def current() -> Surroundings:
    """This thread's context.

    Raises:
        GeartrainError: no server is known: the call was not made by a running script or step.
    """
    context = _contexts.current or lent()
    if context is None:
        endpoint = endpoint_of_loan() or _process_endpoint
        if endpoint is None:
            raise GeartrainError(
                "there is no server to execute commands on: execute() and its like work in steps, in callbacks and in"
                " scripts that Geartrain runs; elsewhere use `with geartrain.Client(url).session(name):`"
            )
        if is_loop():
            return _of_loop(endpoint)
        context = _contexts.current = Context(endpoint, "geartrain:thread")
    return context


_of_loop = cache(lambda endpoint: Context(endpoint, "geartrain:thread"))
"""For coroutines that have borrowed no context; used on the one thread of all coroutines alone."""


def has_no_context() -> bool:
    """Whether this thread has none yet."""
    return _contexts.current is None and lent() is None
