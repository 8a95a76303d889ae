"""Which workers live: each says so in a hash of the registry, with the server's time until which that counts."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from geartrain import keys
from geartrain.registry.code import PYTHON
from geartrain.wire import Access, Command, ErrorReply, raise_for


@dataclass(frozen=True, slots=True)
class Member:
    """A live worker.

    Attributes:
        id: unique.
        python: its minor version, for example `3.11`.
        refused: registrations that it cannot run (a module is missing there, say).
        host: its machine.
        pid: its process.
        started: Unix time in seconds.
        local: the primary (`host:port`) of the one shard whose streams it takes; None: it takes all.
        environment: whose registrations it takes; '': those of sessions without requirements.
    """

    id: str
    python: str
    refused: frozenset[str]
    host: str
    pid: int
    started: float
    local: str | None = None
    environment: str = ""


class Membership:
    """This worker's entry, and the others'.

    Args:
        link: a connection; for the thread that calls.
        worker: this worker's id.
        ttl: seconds that an entry counts after its last beat.
        environment: as in `Member`.
    """

    def __init__(self, link: Access, worker: str, ttl: float, environment: str = "") -> None:
        self._link = link
        self._worker = worker
        self._ttl = ttl
        self._environment = environment
        self._started = time.time()

    def beat(self, refused: Iterable[str], local: str | None = None) -> tuple[dict[str, Member], int]:
        """Say that this worker lives; the live workers, this one included, and the registry's version.

        Args:
            refused: as in `Member`.
            local: as in `Member`.
        """
        now = _server_time(_checked(self._link.pipeline([("TIME",)])[0]))
        mine = {
            "expires": now + self._ttl,
            "python": PYTHON,
            "refused": sorted(refused),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": self._started,
            "local": local,
            "environment": self._environment,
        }
        commands: list[Command] = [
            ("HSET", keys.WORKERS, self._worker, json.dumps(mine)),
            ("HGETALL", keys.WORKERS),
            ("GET", keys.VERSION),
        ]
        _, flat, version = map(_checked, self._link.pipeline(commands))
        members, expired = parse(flat, now)
        if expired:
            self._link.call("HDEL", keys.WORKERS, *expired)
        return members, int(version or 0)

    def leave(self) -> None:
        """Take this worker's entry away."""
        self._link.call("HDEL", keys.WORKERS, self._worker)


def live(link: Access) -> dict[str, Member]:
    """The live workers, for those who only look."""
    now, flat = map(_checked, link.pipeline([("TIME",), ("HGETALL", keys.WORKERS)]))
    return parse(flat, _server_time(now))[0]


def parse(flat: list[Any], now: float) -> tuple[dict[str, Member], list[str]]:
    """The live ones by id, and the ids of those that have expired at `now`."""
    members: dict[str, Member] = {}
    expired: list[str] = []
    for worker, text in zip(flat[::2], flat[1::2], strict=True):
        data = json.loads(text)
        if data["expires"] <= now:
            expired.append(worker)
            continue
        refused = frozenset(data["refused"])
        members[worker] = Member(
            worker,
            data["python"],
            refused,
            data["host"],
            data["pid"],
            data["started"],
            data.get("local"),
            data.get("environment", ""),
        )
    return members, expired


def view(members: Mapping[str, Member]) -> dict[str, tuple[str, frozenset[str], str | None, str]]:
    """What of the members decides who owns what."""
    return {name: (member.python, member.refused, member.local, member.environment) for name, member in members.items()}


def _server_time(reply: list[str]) -> float:
    return int(reply[0]) + int(reply[1]) / 1e6


def _checked(reply: Any) -> Any:
    if isinstance(reply, ErrorReply):
        raise_for(reply, ("HGETALL",))
    return reply
