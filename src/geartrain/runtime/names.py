"""The names that scripts see without import, and the module `redisgears` that they may import.

The module is in `sys.modules` of those processes alone that run scripts and their functions: libraries take it for the
sign that they run in RedisGears.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from geartrain.builder import GB, GearsBuilder
from geartrain.runtime import redisgears
from geartrain.runtime.answers import call_next, override_reply
from geartrain.runtime.commands import (
    atomic,
    configGet,
    execute,
    gearsConfigGet,
    hashtag,
    hashtag3,
    log,
    streamKey,
)
from geartrain.runtime.futures import (
    createFuture,
    flat_error,
    gearsFuture,
    isAsyncAllow,
    runCoroutine,
    setFutureException,
    setFutureResults,
)
from geartrain.runtime.timing import registerTimeEvent

NAMES: Mapping[str, Any] = {
    "GB": GB,
    "GearsBuilder": GearsBuilder,
    "atomic": atomic,
    "call_next": call_next,
    "configGet": configGet,
    "createFuture": createFuture,
    "execute": execute,
    "flatError": flat_error,
    "flat_error": flat_error,
    "gearsConfigGet": gearsConfigGet,
    "gearsFuture": gearsFuture,
    "hashtag": hashtag,
    "hashtag3": hashtag3,
    "isAsyncAllow": isAsyncAllow,
    "log": log,
    "override_reply": override_reply,
    "redisgears": redisgears,
    "registerTimeEvent": registerTimeEvent,
    "runCoroutine": runCoroutine,
    "setFutureException": setFutureException,
    "setFutureResults": setFutureResults,
    "streamKey": streamKey,
}
"""What a script sees without import."""

_MODULE = "redisgears"


def install() -> None:
    """Make `import redisgears` work in this process, and `from __main__ import GB`, for good.

    What is there under one of the names stays.
    """
    sys.modules.setdefault(_MODULE, redisgears)
    for name in _missing():
        setattr(sys.modules["__main__"], name, NAMES[name])


@contextmanager
def installed() -> Iterator[None]:
    """The same, for a block."""
    main, missing = sys.modules["__main__"], _missing()
    had_module = _MODULE in sys.modules
    install()
    try:
        yield
    finally:
        for name in missing:
            vars(main).pop(name, None)
        if not had_module:
            sys.modules.pop(_MODULE, None)


def _missing() -> list[str]:
    return [name for name in NAMES if name not in vars(sys.modules["__main__"])]
