"""The registry: sessions and registrations in keys of the database (`geartrain.keys` has the table).

Every change ends with an increment of the version, in the same transaction; a worker that sees another version reads a
new snapshot. A submission watches the version, so that two at the same time cannot mix.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from geartrain import keys
from geartrain.config import Dialect
from geartrain.errors import ArgumentError, UnknownRegistration
from geartrain.registry import remains
from geartrain.registry.code import Parcel
from geartrain.registry.partial import Asked, ask, is_away
from geartrain.registry.records import Registration, Status
from geartrain.registry.statistics import Execution, Statistics, execution_from
from geartrain.text import to_bytes
from geartrain.wire import Access, Command, ErrorReply, raise_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A submitted script.

    Attributes:
        name: unique in the database.
        version: counts its submissions, from 1.
        updated: Unix time in seconds of the last one.
        python: the minor version of Python that pickled its code.
        dialect: its record format.
        script: the script's path as it was given, or `-`.
        description: what its user says of it, or None.
        requirements: the packages that it needs, normalised (`geartrain.environments`).
        environment: of these requirements; '' where there are none.
    """

    name: str
    version: int
    updated: float
    python: str
    dialect: Dialect
    script: str
    description: str | None = None
    requirements: tuple[str, ...] = ()
    environment: str = ""

    @classmethod
    def from_json(cls, text: str) -> Session:
        """From what is kept."""
        data = json.loads(text)
        data["dialect"] = Dialect(data["dialect"])
        data["requirements"] = tuple(data.get("requirements", ()))
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The registry at one version.

    Attributes:
        version: of the registry.
        registrations: by id.
        status: by registration id.
    """

    version: int
    registrations: Mapping[str, Registration]
    status: Mapping[str, Status]


@dataclass(frozen=True, slots=True)
class Submitted:
    """What a submission changed: ids of registrations."""

    session: str
    added: tuple[str, ...]
    upgraded: tuple[str, ...]
    removed: tuple[str, ...]


class Store:
    """The registry of one database. For one thread, as its link is.

    Args:
        link: a connection to the database.
    """

    def __init__(self, link: Access) -> None:
        self.link = link

    def version(self) -> int:
        """The registry's version; it grows with every change, and starts again when the database is emptied."""
        return int(self.link.call("GET", keys.VERSION) or 0)

    def snapshot(self) -> Snapshot:
        """All registrations and their status, consistent."""
        return _snapshot(self.link.transaction(_READ) or (0, [], []))

    def watched_snapshot(self) -> Snapshot:
        """The registry, watched: the link's next transaction does nothing where it has changed since."""
        _, *replies = map(_checked, self.link.pipeline([("WATCH", keys.VERSION), *_READ]))
        return _snapshot(replies)

    def sessions(self) -> list[Session]:
        """All sessions, by name."""
        flat = self.link.call("HGETALL", keys.SESSIONS)
        return sorted((Session.from_json(value) for _, value in _pairs(flat)), key=lambda session: session.name)

    def submit(self, session: Session, registrations: Sequence[Registration], parcel: Parcel, source: str) -> Submitted:
        """Keep a session: upgrade the registrations that are there, add the new ones, remove the missing ones.

        `session.version` and each registration's `code_version` and `since_ms` are set here.

        Raises:
            ArgumentError: an id belongs to another session.
        """
        while True:
            self.link.call("WATCH", keys.VERSION)
            outcome = self._try_submit(session, registrations, parcel, source)
            if outcome is not None:
                self.remove_remains(outcome.removed)
                return outcome

    def _try_submit(
        self, session: Session, registrations: Sequence[Registration], parcel: Parcel, source: str
    ) -> Submitted | None:
        existing = {key: Registration.from_json(value) for key, value in _pairs(self._all_registrations())}
        self._refuse_foreign(session.name, registrations, existing)
        version = self._session_version(session.name) + 1
        session = replace(session, version=version)
        code_version = self._new_code_version(existing.values())
        wanted = {
            item.id: replace(
                item,
                code_version=code_version,
                since_ms=existing[item.id].since_ms if item.id in existing else code_version,
            )
            for item in registrations
        }
        own = {key for key, item in existing.items() if item.session == session.name}
        removed = own - wanted.keys()
        changes: list[Command] = [
            ("HSET", keys.SESSIONS, session.name, json.dumps(_as_dict(session))),
            *_note_environment(session.environment, session.requirements),
            ("DEL", keys.code(session.name)),
            ("HSET", keys.code(session.name), *_code_fields(parcel, source, code_version)),
            *(("HSET", keys.REGISTRATIONS, key, item.to_json()) for key, item in wanted.items()),
            *self._status_changes(wanted.keys()),
            *_forget(removed),
            *(("SREM", keys.REMAINS, item) for item in wanted),
            # Never below a code version: `remains` tells by it who came later. And not from 0: a worker must not take
            # an emptied and newly filled database for the one that it knew.
            ("SET", keys.VERSION, max(self.version() + 1, code_version)),
        ]
        if self.link.transaction(changes) is None:
            return None
        added = wanted.keys() - existing.keys()
        upgraded = wanted.keys() & existing.keys()
        return Submitted(session.name, tuple(sorted(added)), tuple(sorted(upgraded)), tuple(sorted(removed)))

    def _refuse_foreign(
        self, session: str, registrations: Sequence[Registration], existing: Mapping[str, Registration]
    ) -> None:
        for item in registrations:
            other = existing.get(item.id)
            if other is not None and other.session != session:
                self.link.call("UNWATCH")
                raise ArgumentError(
                    f"name: the registration id {item.id!r} belongs to session {other.session!r}; choose another name="
                )

    def _status_changes(self, ids: Iterable[str]) -> list[Command]:
        """New registrations start; paused ones stay so; for aborted ones new code is a new beginning."""
        status = dict(_pairs(self.link.call("HGETALL", keys.STATUS)))
        start = [item for item in ids if status.get(item) != Status.PAUSED]
        return [("HSET", keys.STATUS, item, Status.ACTIVE.value) for item in start]

    def _new_code_version(self, existing: Iterable[Registration]) -> int:
        """The server's time in milliseconds, or more: never the same twice, not even after the database was emptied."""
        seconds, microseconds = self.link.call("TIME")
        now = int(seconds) * 1000 + int(microseconds) // 1000
        return max([now, self.version() + 1, *(item.code_version + 1 for item in existing)])

    def _all_registrations(self) -> list[Any]:
        return list(self.link.call("HGETALL", keys.REGISTRATIONS))

    def _session_version(self, name: str) -> int:
        text = self.link.call("HGET", keys.SESSIONS, name)
        return Session.from_json(text).version if text else 0

    def note_environment(self, environment: str, requirements: tuple[str, ...]) -> None:
        """Remember an environment that was made for what registers nothing; `submit` does it for sessions."""
        for command in _note_environment(environment, requirements):
            self.link.call(*command)

    def environments(self) -> dict[str, tuple[str, ...]]:
        """The requirements of each environment that any session has had."""
        return {
            str(name): tuple(json.loads(text)) for name, text in _pairs(self.link.call("HGETALL", keys.ENVIRONMENTS))
        }

    def parcel(self, session: str) -> Parcel:
        """A session's code, unchecked; see `registry.code.open_parcel`.

        Raises:
            UnknownRegistration: there is no such session.
        """
        stored = self._code(session)
        return Parcel(
            session=session,
            blob=to_bytes(stored["blob"]),
            python=str(stored["python"]),
            signature=str(stored["signature"]),
            version=int(stored["version"]),
            requirements=tuple(json.loads(stored.get("requirements", "[]"))),
        )

    def source(self, session: str) -> str:
        """The script's text, for display.

        Raises:
            UnknownRegistration: there is no such session.
        """
        return str(self._code(session)["source"])

    def _code(self, session: str) -> dict[str, Any]:
        stored = dict(_pairs(self.link.call("HGETALL", keys.code(session))))
        if not stored:
            raise UnknownRegistration(f"there is no session {session!r}; `geartrain ls` shows those that there are")
        return stored

    def set_status(self, registration: str, status: Status) -> None:
        """Pause, resume or abort.

        Raises:
            UnknownRegistration: there is no such registration.
        """
        while True:
            self.link.call("WATCH", keys.VERSION)
            if not self.link.call("HEXISTS", keys.REGISTRATIONS, registration):
                self.link.call("UNWATCH")
                raise unknown(registration)
            if self.link.transaction([("HSET", keys.STATUS, registration, status.value), ("INCR", keys.VERSION)]):
                return

    def abort(self, registration: str, code_version: int) -> bool:
        """Abort a registration that is active and still has that code; whether it was."""
        while True:
            self.link.call("WATCH", keys.VERSION)
            text = self.link.call("HGET", keys.REGISTRATIONS, registration)
            status = self.link.call("HGET", keys.STATUS, registration) or Status.ACTIVE
            if text is None or status != Status.ACTIVE or Registration.from_json(text).code_version != code_version:
                self.link.call("UNWATCH")
                return False
            changes: list[Command] = [("HSET", keys.STATUS, registration, Status.ABORTED.value), ("INCR", keys.VERSION)]
            if self.link.transaction(changes):
                return True

    def unregister(self, registration: str) -> None:
        """Remove a registration with what it left: groups, leases, statistics; its session too, if that was its last.

        Raises:
            UnknownRegistration: there is no such registration.
        """
        while True:
            self.link.call("WATCH", keys.VERSION)
            existing = {key: Registration.from_json(value) for key, value in _pairs(self._all_registrations())}
            if registration not in existing:
                self.link.call("UNWATCH")
                raise unknown(registration)
            session = existing.pop(registration).session
            changes = _forget([registration])
            if not any(item.session == session for item in existing.values()):
                changes += [("HDEL", keys.SESSIONS, session), ("DEL", keys.code(session))]
            if self.link.transaction([*changes, ("INCR", keys.VERSION)]) is not None:
                self.remove_remains([registration])
                return

    def remove_remains(self, registrations: Iterable[str]) -> None:
        """Remove groups, leases, outboxes, statistics and history of registrations that are gone (`registry.remains`).

        What belongs to a registration that has come again under the same id meanwhile stays.
        """
        for registration in registrations:
            while not remains.remove(self.link, registration):
                pass

    def remaining(self) -> list[str]:
        """Ids of registrations that are gone and may have left something: a shard was away, or a process ended."""
        return sorted(map(str, self.link.call("SMEMBERS", keys.REMAINS)))

    def note(self, streams: Mapping[str, Collection[bytes]], tags: Collection[bytes] = ()) -> None:
        """Note outboxes, by registration id, of those that are still registered; and tags that shards have used."""
        while streams or tags:
            self.link.call("WATCH", keys.VERSION)
            registered = set(map(str, self.link.call("HKEYS", keys.REGISTRATIONS)))
            wanted = {keys.streams(name): items for name, items in streams.items() if name in registered}
            wanted[keys.TAGS] = tags
            commands: list[Command] = [("SADD", key, *items) for key, items in wanted.items() if items]
            if not commands:
                self.link.call("UNWATCH")
                return
            if self.link.transaction(commands) is not None:
                return

    def streams(self, registration: str) -> list[bytes]:
        """The streams that have the registration's group (or had it, where a stream was deleted since)."""
        return remains.streams(self.link, registration, remains.tags(self.link))

    def statistics(self, registrations: Sequence[str]) -> dict[str, Statistics]:
        """Counters by registration id; those of functions in the servers without the shards that are away."""
        tags = remains.tags(self.link)
        names = [(item, [keys.stats(item), *(keys.shard_stats(tag, item) for tag in tags)]) for item in registrations]
        replies = iter(ask(self.link, [(name, ("HGETALL", name)) for _, parts in names for name in parts]))
        read = {item: [Statistics.from_hash(_told(next(replies))) for _ in parts] for item, parts in names}
        return {item: Statistics.total(parts) for item, parts in read.items()}

    def history(self, registration: str, count: int = 100) -> list[Execution]:
        """The last executions, newest first; as `statistics` without the shards that are away."""
        names = [keys.shard_history(tag, registration) for tag in remains.tags(self.link)]
        asked: list[Asked] = [(name, ("LRANGE", name, 0, count - 1)) for name in (keys.history(registration), *names)]
        parts = [list(map(execution_from, _told(reply))) for reply in ask(self.link, asked)]
        # On one server they are in the order in which they ended.
        return parts[0] if len(parts) == 1 else sorted(chain(*parts), key=lambda line: line.at, reverse=True)[:count]


_READ: list[Command] = [("GET", keys.VERSION), ("HGETALL", keys.REGISTRATIONS), ("HGETALL", keys.STATUS)]


def _snapshot(replies: Sequence[Any]) -> Snapshot:
    version, registrations, status = replies
    found = {key: Registration.from_json(value) for key, value in _pairs(registrations)}
    states = {key: Status(value) for key, value in _pairs(status)}
    return Snapshot(int(version or 0), found, {key: states.get(key, Status.ACTIVE) for key in found})


def unknown(registration: str) -> UnknownRegistration:
    """The error for an id that is not there."""
    return UnknownRegistration(f"there is no registration {registration!r}; `geartrain ls` shows those that there are")


def _told(reply: Any) -> Any:
    """What a shard says; nothing where it is away."""
    return [] if is_away(reply) else _checked(reply)


def _checked(reply: Any) -> Any:
    if isinstance(reply, ErrorReply):
        raise_for(reply, ("HGETALL",))
    return reply


def _pairs(flat: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _forget(registrations: Iterable[str]) -> list[Command]:
    commands: list[Command] = []
    for item in registrations:
        commands += [("HDEL", keys.REGISTRATIONS, item), ("HDEL", keys.STATUS, item), ("SADD", keys.REMAINS, item)]
    return commands


def _note_environment(environment: str, requirements: tuple[str, ...]) -> list[Command]:
    return [("HSET", keys.ENVIRONMENTS, environment, json.dumps(requirements))] if environment else []


def _as_dict(session: Session) -> dict[str, Any]:
    return {name: getattr(session, name) for name in session.__dataclass_fields__}


def _code_fields(parcel: Parcel, source: str, version: int) -> tuple[str | bytes | int, ...]:
    fields: dict[str, str | bytes | int] = {
        "blob": parcel.blob,
        "python": parcel.python,
        "signature": parcel.signature,
        "source": source,
        "version": version,
        "requirements": json.dumps(parcel.requirements),
    }
    return tuple(item for pair in fields.items() for item in pair)
