"""The server modules, as far as this worker has to know: where each registration's key events come from.

    no server has the module        keyspace notifications; outboxes that are left from when there was one are read too
    it is there                     the registration's outboxes, of all shards
    it is there, and refuses us     nothing, and the registration says why: the events wait for a worker that may

The module may come and go while a worker runs. Hooks are compared with the registry at each look, because a server may
have been restarted from an older file, or be another one after a failover, and a cluster may have one more.

Outboxes that nothing comes into any more are emptied, and then removed:

    another number of partitions    before the others are read: a key's events may be in both, and keep their order
    another tag (a cluster's slot   beside the others: keys of all shards are in both, and none of these wait for the
    was moved)                      old ones; a key's events may be in both only if its own slot was moved too
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from geartrain import keys
from geartrain.builder.requests import KeysArguments, Mode, Reader
from geartrain.errors import CommandError
from geartrain.registry import Module, Modules, Registration, Snapshot, Status, Store, hooks
from geartrain.text import to_bytes
from geartrain.wire import Address, Script
from geartrain.worker.leases import KEY_EVENTS

logger = logging.getLogger("geartrain.worker")

_DROP = Script.of("geartrain.worker", "lua/drop.lua")

_INTERVAL = 2.0
"""Seconds between two looks at the modules: how long a lost hook can go unnoticed."""

_SOON = 0.2
"""The same, while outboxes of another number of partitions have to be emptied before others are read."""


@dataclass(slots=True)
class _Stale:
    """A registration's outboxes that nothing comes into any more.

    Attributes:
        first: those that are emptied before the present ones are read.
        beside: those that are read together with them.
    """

    first: list[bytes] = field(default_factory=list)
    beside: list[bytes] = field(default_factory=list)

    @property
    def streams(self) -> tuple[bytes, ...]:
        return (*self.first, *self.beside)

    def without(self, gone: Iterable[bytes]) -> _Stale:
        gone = set(gone)
        first, beside = ([name for name in part if name not in gone] for part in (self.first, self.beside))
        return _Stale(first, beside)


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
        self._modules: Modules | None = None
        # By a primary's address: as they were told last, for shards that are away now.
        self._last: dict[Address, Module] = {}
        self._known = False
        self._refused = False
        self._stale: dict[str, _Stale] = {}
        self._find_stale = True
        # Uses that were told at the last look, and are noted; tags that were somebody's then, and are nobody's now.
        self._seen: frozenset[tuple[bytes, int]] = frozenset()
        self._left: set[bytes] = set()
        self._due = 0.0
        self._told: dict[str, str] = {}

    def follow(self, snapshot: Snapshot) -> None:
        """The registry has changed: look at the next occasion."""
        self._snapshot = snapshot
        self._find_stale = True
        self._due = 0.0

    def soon(self) -> None:
        """A connection was lost, or the shards are others: look at the next occasion."""
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
            self._store.remove_remains(self._store.remaining())
        except CommandError as error:
            failed = self._refuse(error, snapshot)
        self._tell(failed | self._missing(snapshot))
        waits = self._tags() and any(stale.first for stale in self._stale.values())
        self._due = now + (_SOON if waits else _INTERVAL)
        return self._view() != before

    def streams(self, registration: Registration) -> Iterable[bytes] | None:
        """Where a KeysReader registration's events come from; None: not known yet."""
        if not self._known:
            return None
        if self._refused:
            return ()
        stale = self._stale.get(registration.id, _Stale())
        if not self._tags():
            return (KEY_EVENTS, *stale.streams)
        return stale.first or (*stale.beside, *self._outboxes(registration))

    def _outboxes(self, registration: Registration) -> list[bytes]:
        """Those that events come into now, of all shards."""
        return [name for tag in sorted(self._tags()) for name in hooks.outboxes_of(registration, tag)]

    def _tags(self) -> set[bytes]:
        """The tags of all shards that have the module, those included that are away; none where there is no module."""
        if self._modules is None:
            return set()
        away = (self._last[shard.primary].tag for shard in self._modules.away if shard.primary in self._last)
        return {*self._modules.tags, *away}

    def _view(self) -> object:
        return self._known, self._refused, self._tags(), {name: stale.streams for name, stale in self._stale.items()}

    def _reconcile(self, snapshot: Snapshot) -> dict[str, str]:
        """Read the modules, and repair their hooks; what cannot be repaired, by registration."""
        failed: dict[str, str] = {}
        modules = hooks.read_all(self._store.link) if self._concerned(snapshot) else Modules({})
        differing = _differing(modules, snapshot)
        if differing is not None:
            try:
                done = hooks.reconcile(self._store)
            except CommandError as error:
                reason = hooks.forbidden(error) if hooks.is_forbidden(error) else str(error)
                failed = dict.fromkeys(differing, f"its hook is not installed: {reason}")
            else:
                modules, failed = done.modules, dict(done.failed)
        before = self._tags()
        for shard, module in modules.loaded.items():
            self._last[shard.primary] = module
        self._modules = modules
        self._left |= before - self._tags()
        if not self._known or self._tags() != before or not modules.uses <= self._seen:
            self._find_stale = True
        self._known, self._refused = True, False
        return failed

    def _concerned(self, snapshot: Snapshot) -> bool:
        """Whether there is anything to ask about: not on servers that had no module, and need none."""
        return (
            not self._known
            or bool(self._tags())
            or any(
                item.mode is Mode.SYNC or item.reader in (Reader.KEYS, Reader.COMMAND)
                for item in snapshot.registrations.values()
            )
        )

    def _refuse(self, error: CommandError, snapshot: Snapshot) -> dict[str, str]:
        """A server does not tell of its module: what that means for each registration."""
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
            self._note_outboxes(snapshot)
            self._stale = self._found_stale(snapshot)
            self._find_stale = False
        modules = self._modules
        if modules is None or not modules.loaded or modules.away:
            # A module that is away may still put events there.
            return
        for name, stale in list(self._stale.items()):
            version = snapshot.registrations[name].code_version
            installed = [module.hooks.get(name) for module in modules.loaded.values()]
            if any(hook is None or hook.version != version for hook in installed):
                # The same.
                continue
            gone = [stream for stream in stale.streams if self._store.link.script(_DROP, [stream])]
            if gone:
                self._store.link.call("SREM", keys.streams(name), *gone)
                self._stale[name] = stale.without(gone)
            if not self._stale[name].streams:
                del self._stale[name]

    def _note_outboxes(self, snapshot: Snapshot) -> None:
        """Note where events may be that modules have put, since the last look, under tags that they use anew.

        Again where a tag is left, or a shard is told of again: a worker that does not see a shard for a moment takes
        its outboxes for those of before, and forgets the empty ones, into which events may come later.
        """
        modules = self._modules
        if modules is None or not modules.clustered:
            return
        new = {tag for tag, _ in modules.uses - self._seen} | self._left
        if new:
            captured = [item for item in snapshot.registrations.values() if _is_captured(item)]
            outboxes = {item.id: [name for tag in new for name in hooks.outboxes_of(item, tag)] for item in captured}
            self._store.note(outboxes, new)
        self._seen, self._left = frozenset(modules.uses), set()

    def _found_stale(self, snapshot: Snapshot) -> dict[str, _Stale]:
        by_keys = [item for item in snapshot.registrations.values() if _is_captured(item)]
        replies = self._store.link.pipeline([("SMEMBERS", keys.streams(item.id)) for item in by_keys])
        found: dict[str, _Stale] = {}
        for item, reply in zip(by_keys, replies, strict=True):
            left = sorted(set(map(to_bytes, reply)) - set(self._outboxes(item)))
            moved = {name for name in left if self._was_moved(name, item)}
            if left:
                found[item.id] = _Stale([name for name in left if name not in moved], sorted(moved))
        return found

    def _was_moved(self, outbox: bytes, registration: Registration) -> bool:
        """Whether it is an outbox of as many partitions as there are now, in a slot that a shard has no more."""
        arguments = registration.arguments
        partitions = arguments.partitions if isinstance(arguments, KeysArguments) else 1
        clustered = self._modules is not None and self._modules.clustered
        return clustered and keys.is_outbox_of(outbox, registration.id, partitions)

    # -- what users are told -------------------------------------------------------------------------------------------

    def _missing(self, snapshot: Snapshot) -> dict[str, str]:
        """What the registrations ask for and these servers do not have."""
        modules = self._modules
        if not self._known or self._refused or modules is None:
            return {}
        active = [item for name, item in snapshot.registrations.items() if snapshot.status[name] is Status.ACTIVE]
        told = {}
        if (why := modules.no_sync) is not None or not modules.found:
            why = why or f"this server has none loaded: {hooks.HOW}"
            told = {item.id: f"mode='sync' needs the server module; {why}" for item in active if item.mode is Mode.SYNC}
        if not modules.found or modules.lacking:
            text = f"commands can be called only where the server module is loaded: {hooks.HOW}"
            told |= {item.id: text for item in active if item.reader is Reader.COMMAND}
        if not self._tags():
            text = "without the server module, key events are best effort, and without effect: "
            told |= {name: text + ", ".join(names) for name, names in hooks.ignored(active).items() if name not in told}
        elif modules.lacking:
            shards = ", ".join(map(str, modules.lacking))
            text = f"no key event is captured on the shard {shards}, which has no server module; {hooks.HOW}"
            told |= {item.id: text for item in active if _is_captured(item)}
        return told

    def _tell(self, troubles: Mapping[str, str]) -> None:
        """Each trouble once, as long as it stays the same."""
        for name, text in troubles.items():
            if self._told.get(name) != text:
                self._trouble(name, text)
        self._told = dict(troubles)


def _differing(modules: Modules, snapshot: Snapshot) -> set[str] | None:
    """Ids of registrations that lack a hook on some shard; None: nothing differs from the registry at all."""
    missing: set[str] = set()
    unknown: set[str] = set(hooks.stopped(modules, snapshot))
    for module in modules.loaded.values():
        lacking, left = hooks.differences(module, snapshot)
        missing.update(item.id for item in lacking)
        unknown.update(left)
    return missing if missing or unknown else None


def _is_captured(registration: Registration) -> bool:
    """Whether its events are put into outboxes, where there is a module."""
    return registration.reader is Reader.KEYS and registration.mode is not Mode.SYNC
