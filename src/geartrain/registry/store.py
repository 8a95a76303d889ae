"""The registry: sessions and registrations in keys of the database (`geartrain.keys` has the table).

Every change ends with an increment of the version, in the same transaction; a worker that sees another version reads a
new snapshot. A submission watches the version, so that two at the same time cannot mix.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from geartrain import keys
from geartrain.errors import UnknownRegistration
from geartrain.registry import remains
from geartrain.registry.code import Parcel
from geartrain.registry.partial import Asked, ask, is_away
from geartrain.registry.records import Registration, Status
from geartrain.registry.sessions import Session, Submitted, Terms
from geartrain.registry.statistics import CLEARED, Execution, Statistics, execution_from
from geartrain.registry.submission import Submission, forget, forget_sessions, note_environment, pairs, registered
from geartrain.text import to_bytes
from geartrain.wire import Access, Command, ErrorReply, raise_for


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
        return sorted((Session.from_json(value) for _, value in pairs(flat)), key=lambda session: session.name)

    def submit(
        self,
        session: Session,
        registrations: Sequence[Registration],
        parcel: Parcel,
        source: str,
        terms: Terms | None = None,
    ) -> tuple[Submitted, list[str]]:
        """Keep a session: upgrade the registrations that are there, add the new ones, remove the missing ones.

        `session.version` and each registration's `code_version` and `since_ms` are set here; so is the id of those that
        have UNNAMED for one.

        Returns:
            What it changed, and the ids of the registrations in their order.

        Raises:
            ArgumentError: an id belongs to another session; the terms do not allow it.
        """
        submission = Submission(session, registrations, parcel, source, terms or Terms())
        while True:
            outcome = submission.attempt(self.link)
            if outcome is not None:
                self.remove_remains(outcome[0].removed)
                return outcome

    def note_environment(self, environment: str, requirements: tuple[str, ...]) -> None:
        """Remember an environment that was made for what registers nothing; `submit` does it for sessions."""
        for command in note_environment(environment, requirements):
            self.link.call(*command)

    def environments(self) -> dict[str, tuple[str, ...]]:
        """The requirements of each environment that any session has had."""
        flat = self.link.call("HGETALL", keys.ENVIRONMENTS)
        return {str(name): tuple(json.loads(text)) for name, text in pairs(flat)}

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
        stored = dict(pairs(self.link.call("HGETALL", keys.code(session))))
        if not stored:
            raise UnknownRegistration(f"there is no session {session!r}; `geartrain ls` shows those that there are")
        return stored

    def set_status(self, status: Status, *registrations: str) -> None:
        """Pause, resume or abort registrations, all of them or none.

        Raises:
            UnknownRegistration: there is no such registration.
        """
        while True:
            self.link.call("WATCH", keys.VERSION)
            known = set(map(str, self.link.call("HKEYS", keys.REGISTRATIONS)))
            missing = next((item for item in registrations if item not in known), None)
            if missing is not None:
                self.link.call("UNWATCH")
                raise unknown(missing)
            changes: list[Command] = [("HSET", keys.STATUS, item, status.value) for item in registrations]
            if self.link.transaction([*changes, ("INCR", keys.VERSION)]):
                return

    def end(self, registration: str, code_version: int, status: Status) -> bool:
        """Abort or pause a registration that is active and still has that code; whether it was."""
        while True:
            self.link.call("WATCH", keys.VERSION)
            text = self.link.call("HGET", keys.REGISTRATIONS, registration)
            now = self.link.call("HGET", keys.STATUS, registration) or Status.ACTIVE
            if text is None or now != Status.ACTIVE or Registration.from_json(text).code_version != code_version:
                self.link.call("UNWATCH")
                return False
            changes: list[Command] = [("HSET", keys.STATUS, registration, status.value), ("INCR", keys.VERSION)]
            if self.link.transaction(changes):
                return True

    def unregister(self, registration: str) -> None:
        """Remove a registration with what it left: groups, leases, statistics; its session too, if that was its last.

        Raises:
            UnknownRegistration: there is no such registration.
        """
        while True:
            self.link.call("WATCH", keys.VERSION)
            existing = registered(self.link)
            if registration not in existing:
                self.link.call("UNWATCH")
                raise unknown(registration)
            session = existing.pop(registration).session
            changes = forget([registration])
            if not any(item.session == session for item in existing.values()):
                changes += forget_sessions([session])
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

    def clear_statistics(self, registrations: Iterable[str]) -> None:
        """Set counters back to 0, those of functions in the servers too; the last error and the history stay."""
        tags = remains.tags(self.link)
        for item in registrations:
            names = [keys.stats(item), *(keys.shard_stats(tag, item) for tag in tags)]
            ask(self.link, [(name, ("HDEL", name, *CLEARED)) for name in names])

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
    found = {key: Registration.from_json(value) for key, value in pairs(registrations)}
    states = {key: Status(value) for key, value in pairs(status)}
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
