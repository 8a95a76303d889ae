"""What a step or a script may call while it runs: `execute`, `log`, `hashtag`, ..."""

from __future__ import annotations

from geartrain.runtime import names, redisgears
from geartrain.runtime.answers import Caller, Nobody, answer_through, answering, call_next, override_reply
from geartrain.runtime.arguments import accepted
from geartrain.runtime.background import while_waiting
from geartrain.runtime.collecting import collect
from geartrain.runtime.commands import (
    atomic,
    configGet,
    execute,
    gearsConfigGet,
    hashtag,
    hashtag3,
    implement,
    log,
    streamKey,
)
from geartrain.runtime.context import Context
from geartrain.runtime.futures import (
    createFuture,
    flat_error,
    gearsFuture,
    isAsyncAllow,
    runCoroutine,
    setFutureException,
    setFutureResults,
)
from geartrain.runtime.surroundings import CallSites, Surroundings, call_sites
from geartrain.runtime.threads import current, enter, install, watch
from geartrain.runtime.timing import registerTimeEvent

EXECUTES: tuple[object, ...] = (execute,)
"""The callables that send a command: the targets of tail-call analysis."""

__all__ = [
    "EXECUTES",
    "CallSites",
    "Caller",
    "Context",
    "Nobody",
    "Surroundings",
    "accepted",
    "answer_through",
    "answering",
    "atomic",
    "call_next",
    "call_sites",
    "collect",
    "configGet",
    "createFuture",
    "current",
    "enter",
    "execute",
    "flat_error",
    "gearsConfigGet",
    "gearsFuture",
    "hashtag",
    "hashtag3",
    "implement",
    "install",
    "isAsyncAllow",
    "log",
    "names",
    "override_reply",
    "redisgears",
    "registerTimeEvent",
    "runCoroutine",
    "setFutureException",
    "setFutureResults",
    "streamKey",
    "watch",
    "while_waiting",
]
