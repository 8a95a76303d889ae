"""What a step or a script may call while it runs: `execute`, `log`, `hashtag`, ..."""

from __future__ import annotations

from geartrain.runtime import redisgears
from geartrain.runtime.answers import Caller, Nobody, answer_through, answering, call_next, override_reply
from geartrain.runtime.arguments import accepted
from geartrain.runtime.commands import atomic, configGet, execute, gearsConfigGet, hashtag, implement, log, streamKey
from geartrain.runtime.context import CallSites, Context, Surroundings, call_sites, current, enter, install, watch

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
    "configGet",
    "current",
    "enter",
    "execute",
    "gearsConfigGet",
    "hashtag",
    "implement",
    "install",
    "log",
    "override_reply",
    "redisgears",
    "streamKey",
    "watch",
]
