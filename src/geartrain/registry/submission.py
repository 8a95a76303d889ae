"""A submission: one transaction writes a session, its registrations and their code, and removes what they replace.

watch the version ──> look at what is there ──> ids ──> MULTI ... EXEC ──the version has changed──> again
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from geartrain import keys
from geartrain.errors import ArgumentError
from geartrain.registry.code import Parcel
from geartrain.registry.records import Registration, Status
from geartrain.registry.sequence import new_ids
from geartrain.registry.sessions import Session, Submitted, Terms
from geartrain.registry.succession import UNNAMED, predecessors
from geartrain.registry.triggers import refuse_taken
from geartrain.wire import Access, Command


@dataclass(frozen=True, slots=True)
class Submission:
    """What is submitted.

    Attributes:
        session: about the session; its version is set here.
        registrations: `code_version` and `since_ms` are set here; so is the id of those that have UNNAMED for one.
        parcel: their code.
        source: the script's text.
        terms: what may become of a session that is there already.
    """

    session: Session
    registrations: Sequence[Registration]
    parcel: Parcel
    source: str
    terms: Terms

    def attempt(self, link: Access) -> tuple[Submitted, list[str]] | None:
        """Try it, once; what it changed, and the ids of the registrations in order. None: somebody came in between.

        Raises:
            ArgumentError: an id or a trigger belongs to another session; the terms do not allow it.
        """
        link.call("WATCH", keys.VERSION)
        existing = registered(link)
        sessions = self.terms.sessions(self.session.name)
        own = {key for key, item in existing.items() if item.session in sessions}
        try:
            check(link, self.session.name, self.terms)
            ids = self._ids(link, [existing[key] for key in own])
            _refuse_foreign(sessions, ids, existing)
            refuse_taken(self.registrations, sessions, existing)
        except ArgumentError:
            link.call("UNWATCH")
            raise
        version = _version(link)
        code_version = _new_code_version(link, version, existing.values())
        wanted = self._wanted(ids, existing, code_version)
        removed = own - wanted.keys()
        changes: list[Command] = [
            *forget_sessions(sessions - {self.session.name}),
            *self._session_changes(link, code_version),
            *(("HSET", keys.REGISTRATIONS, key, item.to_json()) for key, item in wanted.items()),
            *_status_changes(link, wanted.keys()),
            *forget(removed),
            *(("SREM", keys.REMAINS, item) for item in wanted),
            # Never below a code version: `remains` tells by it who came later. And not from 0: a worker must not take
            # an emptied and newly filled database for the one that it knew.
            ("SET", keys.VERSION, max(version + 1, code_version)),
        ]
        if link.transaction(changes) is None:
            return None
        added, upgraded = wanted.keys() - existing.keys(), wanted.keys() & existing.keys()
        parts = (tuple(sorted(part)) for part in (added, upgraded, removed))
        return Submitted(self.session.name, *parts), ids

    def _ids(self, link: Access, before: Iterable[Registration]) -> list[str]:
        """An id for each: its own, that of its predecessor, or a new one."""
        ids = predecessors(self.registrations, before)
        missing = ids.count(UNNAMED)
        made = iter(new_ids(link, missing)) if missing else iter(())
        return [item or next(made) for item in ids]

    def _wanted(
        self, ids: Sequence[str], existing: Mapping[str, Registration], code_version: int
    ) -> dict[str, Registration]:
        return {
            key: replace(
                item,
                id=key,
                code_version=code_version,
                since_ms=existing[key].since_ms if key in existing else code_version,
            )
            for key, item in zip(ids, self.registrations, strict=True)
        }

    def _session_changes(self, link: Access, code_version: int) -> list[Command]:
        name = self.session.name
        text = link.call("HGET", keys.SESSIONS, name)
        session = replace(self.session, version=(Session.from_json(text).version if text else 0) + 1)
        return [
            ("HSET", keys.SESSIONS, name, session.to_json()),
            *note_environment(session.environment, session.requirements),
            ("DEL", keys.code(name)),
            ("HSET", keys.code(name), *_code_fields(self.parcel, self.source, code_version)),
        ]


def check(link: Access, session: str, terms: Terms) -> None:
    """Refuse what the terms do not allow now.

    Raises:
        ArgumentError: there is such a session, and it is not to be upgraded; or there is none to replace.
    """
    if not terms.upgrade and terms.replaces != session and link.call("HEXISTS", keys.SESSIONS, session):
        raise ArgumentError(
            f"there is a session {session!r} already: UPGRADE (upgrade=True) replaces it, another ID is another session"
        )
    if terms.replaces is not None and not link.call("HEXISTS", keys.SESSIONS, terms.replaces):
        raise ArgumentError(f"there is no session {terms.replaces!r} to replace")


def registered(link: Access) -> dict[str, Registration]:
    """All registrations, by id."""
    flat = link.call("HGETALL", keys.REGISTRATIONS)
    return {key: Registration.from_json(value) for key, value in pairs(flat)}


def forget_sessions(names: Iterable[str]) -> list[Command]:
    """What removes sessions; their registrations are for `forget`."""
    return [command for name in names for command in (("HDEL", keys.SESSIONS, name), ("DEL", keys.code(name)))]


def note_environment(environment: str, requirements: tuple[str, ...]) -> list[Command]:
    """What remembers an environment; nothing for ''."""
    return [("HSET", keys.ENVIRONMENTS, environment, json.dumps(requirements))] if environment else []


def forget(registrations: Iterable[str]) -> list[Command]:
    """What removes registrations; what they leave behind is noted, and removed later."""
    commands: list[Command] = []
    for item in registrations:
        commands += [("HDEL", keys.REGISTRATIONS, item), ("HDEL", keys.STATUS, item), ("SADD", keys.REMAINS, item)]
    return commands


def pairs(flat: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Names and values of a hash."""
    return zip(flat[::2], flat[1::2], strict=True)


def _refuse_foreign(sessions: Collection[str], ids: Iterable[str], existing: Mapping[str, Registration]) -> None:
    for item in ids:
        other = existing.get(item)
        if other is not None and other.session not in sessions:
            raise ArgumentError(
                f"name: the registration id {item!r} belongs to session {other.session!r}; choose another name="
            )


def _status_changes(link: Access, ids: Iterable[str]) -> list[Command]:
    """New registrations start; paused ones stay so; for aborted ones new code is a new beginning."""
    status = dict(pairs(link.call("HGETALL", keys.STATUS)))
    start = [item for item in ids if status.get(item) != Status.PAUSED]
    return [("HSET", keys.STATUS, item, Status.ACTIVE.value) for item in start]


def _new_code_version(link: Access, version: int, existing: Iterable[Registration]) -> int:
    """The server's time in milliseconds, or more: never the same twice, not even after the database was emptied."""
    seconds, microseconds = link.call("TIME")
    now = int(seconds) * 1000 + int(microseconds) // 1000
    return max([now, version + 1, *(item.code_version + 1 for item in existing)])


def _version(link: Access) -> int:
    return int(link.call("GET", keys.VERSION) or 0)


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
