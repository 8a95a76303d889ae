"""The client whose command the running function was called for: the module knows it."""

from __future__ import annotations

from typing import Any

import _geartrain
from geartrain.errors import GeartrainError
from geartrain.resp3 import Error, encode
from geartrain.wire import Argument, ErrorReply


class ServerCaller:
    """The one caller of functions in the server."""

    def call_next(self, args: tuple[Argument, ...]) -> Any:
        """What comes after the hook whose function runs.

        Raises:
            GeartrainError: it hooks no command.
        """
        try:
            return _geartrain.call_next(*args)
        except RuntimeError as error:
            raise GeartrainError(str(error)) from None

    def override(self, reply: bytes) -> None:
        """Another reply for the client that is linked to the running function.

        Raises:
            GeartrainError: there is none, or it has been given one.
        """
        try:
            _geartrain.override(reply)
        except RuntimeError as error:
            raise GeartrainError(str(error)) from None


def encoded(value: Any) -> bytes:
    """What a function gave, as a reply in RESP3 text."""
    return encode(Error(value.text) if isinstance(value, ErrorReply) else value)
