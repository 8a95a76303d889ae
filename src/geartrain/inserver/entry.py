"""Imported by the server module when its interpreter has started: everything else is called from here."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import _geartrain
from geartrain.inserver import logs
from geartrain.inserver.answers import ServerCaller, encoded
from geartrain.inserver.context import CONTEXT
from geartrain.inserver.functions import Functions
from geartrain.runtime import accepted, answer_through, enter, implement, names, watch
from geartrain.wire import ErrorReply, raise_for

SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread that user code started gives way to the server's, where both want to run."""


def _late(number: int, frame: FrameType | None) -> None:
    """The watchdog's signal: ends the running function, if it is that one which is late."""
    del number, frame
    if _geartrain.expired():
        raise TimeoutError(
            f"it ran longer than the server waits for a function (sync-timeout {_geartrain.TIMEOUT_MS} ms)"
        )


def _begin() -> None:
    logs.redirect()
    sys.argv = ["geartrain"]
    sys.setswitchinterval(SWITCH_INTERVAL)
    signal.signal(_geartrain.SIGNAL, _late)
    watch(lambda context: _geartrain.direct(context is CONTEXT))
    enter(CONTEXT)
    answer_through(ServerCaller())
    names.install()
    functions = Functions()
    in_python = implement(_geartrain.execute)
    _geartrain.setup(functions.load, functions.unload, raise_for, ErrorReply, accepted, in_python, encoded)
    functions.start()


_begin()
