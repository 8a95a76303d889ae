"""What the registry keeps, as plain data, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Container
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import chain, count
from typing import Any

from geartrain.builder.requests import (
    Arguments,
    CommandArguments,
    FailurePolicy,
    KeysArguments,
    Mode,
    Reader,
    RegisterRequest,
    StreamArguments,
    TimeArguments,
)
from geartrain.builder.steps import Step
from geartrain.config import Dialect


class Status(StrEnum):
    """What a registration does.

    submit ──> ACTIVE ──pause──> PAUSED ──resume──> ACTIVE
                 └──policy abort──> ABORTED ──resume, or new code──> ACTIVE
    """

    ACTIVE = "active"
    PAUSED = "paused"
    ABORTED = "aborted"


class Delivery(StrEnum):
    """What is promised for a registration's events."""

    AT_LEAST_ONCE = "at-least-once"
    BEST_EFFORT = "best-effort"
    AT_MOST_ONCE = "at-most-once"


@dataclass(frozen=True, slots=True)
class Code:
    """A registration's code: what is pickled."""

    steps: tuple[Step, ...]
    on_registered: Callable[[], Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One registration, without its code.

    Attributes:
        id: unique in the database, stable over upgrades, for example `orders/StreamReader:orders:*`.
        session: the session that it belongs to.
        reader: Reader.STREAM, Reader.KEYS, Reader.COMMAND or Reader.TIME.
        pattern: glob of stream or key names; of a CommandReader, the trigger's or the command's name; of a time event,
            its interval.
        mode: where it runs.
        description: the user's, or None.
        dialect: the record format.
        arguments: the reader's own arguments.
        position: which `Code` of the session's code is this registration's.
        code_version: tells one submission of the session from any other; it grows.
        since_ms: the server's time at which it was registered first, in milliseconds since 1970; set by the store.
        python: the minor version of Python that pickled it, for example `3.11`.
        user: the ACL user who registered it; a sync function's commands have their permissions.
        environment: of its session's requirements (`geartrain.environments`); '' where it has none. Only workers
            of that environment run it.
        convert: results become their `str` (`convertToStr`).
        collect: the results of all shards are brought together.
    """

    id: str
    session: str
    reader: Reader
    pattern: str
    mode: Mode
    description: str | None
    dialect: Dialect
    arguments: Arguments
    position: int
    code_version: int
    python: str
    since_ms: int = 0
    user: str = "default"
    environment: str = ""
    convert: bool = False
    collect: bool = True

    def delivery(self, *, hooked: bool) -> Delivery:
        """What is promised for its events; `hooked`: the server module captures them."""
        if self.reader in {Reader.COMMAND, Reader.TIME}:
            return Delivery.AT_MOST_ONCE
        return Delivery.AT_LEAST_ONCE if hooked or self.reader is Reader.STREAM else Delivery.BEST_EFFORT

    def to_json(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Registration:
        """From what `to_json` made."""
        data = json.loads(text)
        data["reader"] = Reader(data["reader"])
        data["mode"] = Mode(data["mode"])
        data["dialect"] = Dialect(data["dialect"])
        data["arguments"] = _arguments(data["reader"], data["arguments"])
        return cls(**data)


def _arguments(reader: Reader, data: dict[str, Any]) -> Arguments:
    if reader is Reader.STREAM:
        data["on_failed_policy"] = FailurePolicy(data["on_failed_policy"])
        return StreamArguments(**data)
    if reader is Reader.COMMAND:
        return CommandArguments(**data)
    if reader is Reader.TIME:
        return TimeArguments(**data)
    # Registrations of earlier versions have no `commands`.
    for name in ("event_types", "key_types", "commands"):
        data[name] = None if data.get(name) is None else tuple(data[name])
    return KeysArguments(**data)


def ids_for(session: str, requests: list[RegisterRequest]) -> list[str]:
    """An id for each request: its `name`, or `session/Reader:pattern`; if that occurs again, with `#2` behind."""
    ids: dict[str, None] = {}
    for request in requests:
        ids[id_for(session, request, ids)] = None
    return list(ids)


def id_for(session: str, request: RegisterRequest, taken: Container[str]) -> str:
    """The id of a request that comes after those whose ids are `taken`."""
    base = request.name or f"{session}/{request.reader}:{request.pattern}"
    numbered = (f"{base}#{number}" for number in count(2))
    return next(item for item in chain((base,), numbered) if item not in taken)
