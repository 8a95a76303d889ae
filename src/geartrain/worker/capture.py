"""The server module, as far as this worker has to know: where each registration's key events come from.

    the server has no module        keyspace notifications; outboxes that are left from when it had one are read too
    it has one                      the registration's outboxes; those of another number of partitions before them
    it has one, and refuses us      nothing, and the registration says why: the events wait for a worker that may

The module may come and go while a worker runs. Hooks are compared with the registry at each look, because the server
may have been restarted from an older file, or be another one after a failover.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping

from geartrain import keys
from geartrain.builder.requests import Mode, Reader
from geartrain.errors import CommandError
from geartrain.registry import Module, Registration, Snapshot, Status, Store, hooks
from geartrain.text import to_bytes
from geartrain.wire import Script
from geartrain.worker.leases import KEY_EVENTS

logger = logging.getLogger("geartrain.worker")

_DROP = Script.of("geartrain.worker", "lua/drop.lua")

_INTERVAL = 2.0
"""Seconds between two looks at the module: how long a lost hook can go unnoticed."""

_SOON = 0.2
"""The same, while outboxes of another number of partitions have to be emptied before others are read."""


class Capture:
    """See the module's docstring. For the main thread only.

    Args:
        store: the registry.
        trouble: called with a registration and what keeps it, or a part of it, from working.
    """

    def __init__(self, store: Store, trouble: Callable[[str, str], None]) -> None:
        self._store = store
        self._trouble = trouble
        self._snapshot: Snapshot | None = None
        self._module: Module | None = None
        self._known = False
        self._refused = False
        self._stale: dict[str, list[bytes]] = {}
        self._find_stale = True
        self._due = 0.0
        self._told: dict[str, str] = {}

    def follow(self, snapshot: Snapshot) -> None:
        """The registry has changed: look at the next occasion."""
        self._snapshot = snapshot
        self._find_stale = True
        self._due = 0.0

    def soon(self) -> None:
        """The connection was lost, and the server may be another one: look at the next occasion."""
        self._due = 0.0

    def look(self) -> bool:
        """Compare, and repair, where it is time; whether partitions have to be assigned anew."""
        snapshot = self._snapshot
        now = time.monotonic()
        if snapshot is None or now < self._due:
            return False
        before = self._view()
        try:
            failed = self._reconcile(snapshot)
            self._update_stale(snapshot)
        except CommandError as error:
            failed = self._refuse(error, snapshot)
        self._tell(failed | self._missing(snapshot))
        self._due = now + (_SOON if self._stale and self._module is not None else _INTERVAL)
        return self._view() != before

    def streams(self, registration: Registration) -> Iterable[bytes] | None:
        """Where a KeysReader registration's events come from; None: not known yet."""
        if not self._known:
            return None
        if self._refused:
            return ()
        stale = self._stale.get(registration.id, [])
        if self._module is None:
            return (KEY_EVENTS, *stale)
        # The old ones first, and alone: a key's events may be in both, and keep their order.
        return stale or hooks.outboxes_of(registration, self._module.tag)

    def _view(self) -> object:
        tag = None if self._module is None else self._module.tag
        return self._known, self._refused, tag, {name: tuple(streams) for name, streams in self._stale.items()}

    def _reconcile(self, snapshot: Snapshot) -> dict[str, str]:
        """Read the module, and repair its hooks; what cannot be repaired, by registration."""
        failed: dict[str, str] = {}
        module = hooks.read(self._store.link) if self._concerned(snapshot) else None
        if module is not None and any(differing := hooks.differences(module, snapshot)):
            try:
                done = hooks.reconcile(self._store)
            except CommandError as error:
                reason = hooks.forbidden(error) if hooks.is_forbidden(error) else str(error)
                failed = {item.id: f"its hook is not installed: {reason}" for item in differing[0]}
            else:
                module, failed = done.module, dict(done.failed)
        if not self._known or (module is None) != (self._module is None) or _tag(module) != _tag(self._module):
            self._find_stale = True
        self._module, self._known, self._refused = module, True, False
        return failed

    def _concerned(self, snapshot: Snapshot) -> bool:
        """Whether there is anything to ask about: not on a server that had no module, and needs none."""
        return (
            not self._known
            or self._module is not None
            or any(item.mode is Mode.SYNC or item.reader is Reader.KEYS for item in snapshot.registrations.values())
        )

    def _refuse(self, error: CommandError, snapshot: Snapshot) -> dict[str, str]:
        """The server does not tell of its module: what that means for each registration."""
        if hooks.is_forbidden(error):
            self._known = self._refused = True
        reason = hooks.forbidden(error) if self._refused else f"{hooks.HOOK}: {error.reply}"
        logger.debug("looking at the server module failed: %s", error)
        hooked = (item for item in snapshot.registrations.values() if hooks.is_hooked(item, snapshot.status[item.id]))
        return {item.id: reason for item in hooked}

    # -- outboxes of before --------------------------------------------------------------------------------------------

    def _update_stale(self, snapshot: Snapshot) -> None:
        """Find outboxes that events are not put into any more; remove those that are empty."""
        if self._find_stale:
            self._stale = self._found_stale(snapshot)
            self._find_stale = False
        module = self._module
        if module is None:
            return
        for name, streams in list(self._stale.items()):
            hook, registration = module.hooks.get(name), snapshot.registrations[name]
            if hook is None or hook.version != registration.code_version:
                # The module may still put events there.
                continue
            gone = [stream for stream in streams if self._store.link.script(_DROP, [stream])]
            if gone:
                self._store.link.call("SREM", keys.streams(name), *gone)
                self._stale[name] = [stream for stream in streams if stream not in gone]
            if not self._stale[name]:
                del self._stale[name]

    def _found_stale(self, snapshot: Snapshot) -> dict[str, list[bytes]]:
        by_keys = [item for item in snapshot.registrations.values() if _is_captured(item)]
        replies = self._store.link.pipeline([("SMEMBERS", keys.streams(item.id)) for item in by_keys])
        found: dict[str, list[bytes]] = {}
        for item, reply in zip(by_keys, replies, strict=True):
            current = set(hooks.outboxes_of(item, self._module.tag)) if self._module is not None else set()
            stale = sorted(set(map(to_bytes, reply)) - current)
            if stale:
                found[item.id] = stale
        return found

    # -- what users are told -------------------------------------------------------------------------------------------

    def _missing(self, snapshot: Snapshot) -> dict[str, str]:
        """What the registrations ask for and this server does not have."""
        module = self._module
        if not self._known or self._refused or (module is not None and module.sync is None):
            return {}
        active = [item for name, item in snapshot.registrations.items() if snapshot.status[name] is Status.ACTIVE]
        why = f"this server has none loaded: {hooks.HOW}" if module is None else module.sync
        told = {item.id: f"mode='sync' needs the server module; {why}" for item in active if item.mode is Mode.SYNC}
        if module is None:
            text = "without the server module, key events are best effort, and without effect: "
            told |= {name: text + ", ".join(names) for name, names in hooks.ignored(active).items() if name not in told}
        return told

    def _tell(self, troubles: Mapping[str, str]) -> None:
        """Each trouble once, as long as it stays the same."""
        for name, text in troubles.items():
            if self._told.get(name) != text:
                self._trouble(name, text)
        self._told = dict(troubles)


def _tag(module: Module | None) -> bytes | None:
    return None if module is None else module.tag


def _is_captured(registration: Registration) -> bool:
    """Whether its events are put into outboxes, where there is a module."""
    return registration.reader is Reader.KEYS and registration.mode is not Mode.SYNC
