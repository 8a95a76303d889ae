"""The client that waits for a key event's execution (`commands=` of a KeysReader; native/links.h has the theory).

Its entry in the outbox has the number of a link. The function may give the client another reply; in any case the server
is told when the execution is done, whatever came of it, because then the client gets its reply.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from geartrain.errors import CommandError, GeartrainError, ServerUnavailable
from geartrain.runtime import Context, Nobody
from geartrain.wire import Argument

_COMMAND = "GEARTRAIN.LINK"

_REFUSED = {
    "LINKGONE": "Can not get command ctx: the client has gone, or has waited for too long",
    "LINKUSED": "the reply of this command has been overridden already: it can be only once",
}


class LinkedClient(Nobody):
    """See the module's docstring.

    Args:
        context: of the thread that executes.
        outbox: where the event was.
        link: its number.
    """

    def __init__(self, context: Context, outbox: bytes, link: Argument) -> None:
        super().__init__()
        self._context = context
        self._outbox = outbox
        self._link = link

    def override(self, reply: bytes) -> None:
        """Give the client this reply.

        Raises:
            GeartrainError: it has gone, or has been given one.
            ServerUnavailable: the server is away, and the client with it.
        """
        try:
            self._tell("OVERRIDE", reply)
        except CommandError as error:
            raise GeartrainError(_REFUSED.get(error.code, error.reply)) from None

    def done(self) -> None:
        """The execution has ended: the client gets its reply, if no other execution is to come."""
        # Links are in the server's memory: they go with it, or end by its own bound.
        with suppress(GeartrainError):
            try:
                self._tell("DONE")
            except ServerUnavailable:
                # The connection was lost; the server may be there all the same, and the client.
                self._tell("DONE")

    def _tell(self, verb: str, *args: Argument) -> Any:
        return self._context.execute(_COMMAND, (verb, self._outbox, self._link, *args))
