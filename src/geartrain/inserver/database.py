"""Geartrain's own commands in the server: in the database of a hook, without a user's permissions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import _geartrain
from geartrain.wire import Argument, Script


class Database:
    """The database of one hook.

    Args:
        handle: the hook's function.
    """

    def __init__(self, handle: _geartrain.Handle) -> None:
        self._handle = handle

    def call(self, *command: Argument) -> Any:
        """One command; its reply.

        Raises:
            CommandError: the server answered with an error.
            ServerUnavailable: it cannot serve now (a replica, a cluster that is down).
            RuntimeError: the hook is gone, or no command may run at this moment.
        """
        name = command[0]
        return _geartrain.own(self._handle, name if isinstance(name, str | bytes) else str(name), command[1:])

    def script(self, script: Script, keys: Sequence[Argument], args: Sequence[Argument] = ()) -> Any:
        """Run a Lua script; its reply."""
        return self.call("EVAL", script.source, len(keys), *keys, *args)
