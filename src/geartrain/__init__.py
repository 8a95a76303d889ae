"""Geartrain: Python functions on data at the moment it arrives in Redis or Valkey.

    with Client("redis://127.0.0.1:6379").session("orders"):
        GearsBuilder("StreamReader").foreach(lambda order: execute("incr", "orders")).register("orders:*")

In a script that Geartrain runs (`geartrain run SCRIPT`) these names are there without import.
"""

from __future__ import annotations

from importlib.metadata import version as _version

from geartrain.builder import GB, GearsBuilder
from geartrain.client import Client
from geartrain.config import Dialect
from geartrain.errors import (
    Aborted,
    ArgumentError,
    BadSignature,
    CodeError,
    CommandError,
    FlatError,
    ForeignShard,
    GeartrainError,
    InternalError,
    NeedsModule,
    PauseRegistration,
    PythonMismatch,
    RegistryError,
    RequirementsError,
    ScriptError,
    ServerUnavailable,
    StepError,
    UnknownRegistration,
)
from geartrain.runtime import (
    atomic,
    call_next,
    configGet,
    createFuture,
    execute,
    flat_error,
    gearsConfigGet,
    gearsFuture,
    hashtag,
    hashtag3,
    isAsyncAllow,
    log,
    override_reply,
    redisgears,
    registerTimeEvent,
    runCoroutine,
    setFutureException,
    setFutureResults,
    streamKey,
)

__version__ = _version("geartrain")

__all__ = [
    "GB",
    "Aborted",
    "ArgumentError",
    "BadSignature",
    "Client",
    "CodeError",
    "CommandError",
    "Dialect",
    "FlatError",
    "ForeignShard",
    "GearsBuilder",
    "GeartrainError",
    "InternalError",
    "NeedsModule",
    "PauseRegistration",
    "PythonMismatch",
    "RegistryError",
    "RequirementsError",
    "ScriptError",
    "ServerUnavailable",
    "StepError",
    "UnknownRegistration",
    "__version__",
    "atomic",
    "call_next",
    "configGet",
    "createFuture",
    "execute",
    "flat_error",
    "gearsConfigGet",
    "gearsFuture",
    "hashtag",
    "hashtag3",
    "isAsyncAllow",
    "log",
    "override_reply",
    "redisgears",
    "registerTimeEvent",
    "runCoroutine",
    "setFutureException",
    "setFutureResults",
    "streamKey",
]
