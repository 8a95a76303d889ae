"""The server, held for one thread's commands while all other clients wait: what `atomic()` does in a worker.

The server module serves this connection alone between `GEARTRAIN.ATOMIC` and its `END`. When the time is over it
answers ATOMICTIMEOUT and shuts the connection, so that nothing of the block can be executed later.
"""

from __future__ import annotations

from typing import Any

from geartrain.errors import CommandError, GeartrainError, NeedsModule, ServerUnavailable
from geartrain.wire import REDIRECTIONS, Link, pack

_COMMAND = "GEARTRAIN.ATOMIC"


class Hold:
    """A hold that has begun.

    Args:
        link: the connection, with nothing pending on it; all commands of the block go through it.
        seconds: after which the server goes on with others.

    Raises:
        NeedsModule: the server has no module.
        CommandError: it refuses (a user without `@admin`, a TLS connection).
    """

    def __init__(self, link: Link, seconds: float) -> None:
        self._link = link
        try:
            link.call(_COMMAND, max(1, round(seconds * 1000)))
        except CommandError as error:
            if not error.is_unknown:
                raise
            raise NeedsModule(
                "atomic() in a worker needs the server module (`geartrain module --loadmodule` prints the line that"
                " loads it); without it send one command that does it all, or a Lua script: execute('eval', ...)"
            ) from error
        self._channel = link.channel

    def call(self, packed: bytes, name: str | bytes) -> Any:
        """One packed command of the block; its reply.

        Raises:
            CommandError: the server refused it, or the time is over (ATOMICTIMEOUT).
            GeartrainError: the block has ended before; a new connection would not be in it.
            ServerUnavailable: the key is on its way to another shard.
        """
        if not self._link.is_on(self._channel):
            raise GeartrainError("the block of atomic() has ended: its connection was lost, or its time was over")
        try:
            return self._link.call_packed(packed, name)
        except CommandError as error:
            if error.code == "ATOMICTIMEOUT":
                self._link.close()
            if error.code in REDIRECTIONS:
                raise ServerUnavailable(str(error)) from error
            raise

    def end(self) -> None:
        """Let others go on; a block that has ended by itself stays ended, which the command that met it has told."""
        if self._link.is_on(self._channel):
            self.call(pack((_COMMAND, "END")), _COMMAND)

    def abandon(self) -> None:
        """Let others go on, whatever is under way: the server notices the end of the connection."""
        if self._link.is_on(self._channel):
            self._link.close()
