"""RG.CONFIGGET, RG.CONFIGSET."""

from __future__ import annotations

from typing import Any

from geartrain import keys
from geartrain.errors import RgError
from geartrain.resp3 import Error, Status
from geartrain.rg.arguments import count, text
from geartrain.rg.config import is_ours, settable
from geartrain.rg.server import Server
from geartrain.worker.serving import Call

_OK = Status("OK")
_KEPT = Status("OK - value was saved in extra config dictionary")


def get(call: Call, server: Server) -> list[Any]:
    """`key [key ...]`: a value for each, or an error."""
    count(call.args, 2)
    config = server.config
    return [_or_error(lambda word=word: config[text("key", word)]) for word in call.args[1:]]


def change(call: Call, server: Server) -> list[Any]:
    """`key value [key value ...]`: OK for each, or an error."""
    count(call.args, 3)
    words = call.args[1:]
    if len(words) % 2:
        raise RgError(f"{words[-1]!r} has no value: RG.CONFIGSET takes pairs of a key and a value")
    return [
        _or_error(lambda at=at: _set(server, text("key", words[at]), words[at + 1])) for at in range(0, len(words), 2)
    ]


def _set(server: Server, name: str, value: str | bytes) -> Status:
    server.link.call("HSET", keys.CONFIG, settable(name, value), value)
    return _OK if is_ours(name) else _KEPT


def _or_error(made: Any) -> Any:
    try:
        return made()
    except RgError as error:
        return Error(f"ERR {error}")
