"""Hooks: what the server modules have to know of the registrations, and how they come to know it.

A hook tells a module which key events to capture, or which function to call (`mode='sync'`). The registry decides; the
modules' hooks, one set for each shard, are copies, kept in step by whoever changes the registry, and by every worker
that finds a difference (a server was restarted from an older file, somebody flushed it, a shard is new, a client died
halfway).

| registration | has a hook |
|---|---|
| KeysReader, async or async_local | always; paused and aborted too: events are captured, and wait in the outbox |
| KeysReader or StreamReader, sync | while it is active: a function that is paused is not called |
| StreamReader, async or async_local | never: workers read the stream |
| CommandReader, any mode | while it is active: the command of one that is paused is not hooked, its trigger not known |

The registry lies on one shard and the hooks on all, so no transaction holds them together. What does:

1. Read the hooks of all shards, then the registry. A hook is only ever set when its registration is in the registry; so
   one that this later snapshot does not know, or knows with lower code, is really of the past, whoever else is at work.
2. Note in the registry where events will be, then change what differs: SET with the registration's `code_version`, DEL
   with the version of the hook that was seen. Versions grow and never come again, and the modules do nothing where they
   have a later one: whoever is late changes nothing of what came after.
3. The outboxes of what nobody registered are deleted by the module with the hook, in one moment, and only if that is.
4. The registry has changed meanwhile, so that a hook that was set may be of the past itself: again from 1.

A shard that is away does not stop the others; the next reconciliation finds what it lacks.

A function whose policy has stopped it says so in its hook, because its shard may not have the registry; `reconcile`
writes it there, and the hooks go on all shards. The registry is watched before hooks are read for that: a registration
that was resumed since cannot be stopped again by a hook of before.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from geartrain import keys
from geartrain.builder.requests import CommandArguments, KeysArguments, Mode, Reader, RegisterRequest
from geartrain.errors import ServerUnavailable, UnknownRegistration
from geartrain.registry import remains
from geartrain.registry.code import Parcel
from geartrain.registry.modules import HOW, Hook, Module, Modules, forbidden, is_forbidden, read, read_all
from geartrain.registry.records import Registration, Status
from geartrain.registry.remains import HOOK
from geartrain.registry.store import Snapshot, Store
from geartrain.wire import Argument, Command, ErrorReply, Link, Shard

__all__ = [
    "HOOK",
    "HOW",
    "Hook",
    "Module",
    "Modules",
    "Reconciled",
    "check",
    "forbidden",
    "is_forbidden",
    "read",
    "read_all",
    "reconcile",
]

logger = logging.getLogger("geartrain.registry")


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What `reconcile` found and could not do.

    Attributes:
        modules: as they are now.
        failed: for each registration whose hook could not be set everywhere, why.
    """

    modules: Modules
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Plan:
    """What to change on each shard, and what has to be noted before.

    Attributes:
        changes: for each shard: ids, each with a command.
        outboxes: by registration id.
        failed: what cannot be said to a module, and why.
    """

    changes: dict[Shard, list[tuple[str, Command]]] = field(default_factory=dict)
    outboxes: dict[str, set[bytes]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def is_hooked(registration: Registration, status: Status) -> bool:
    """Whether a registration has a hook; see the table above."""
    if registration.mode is Mode.SYNC or registration.reader is Reader.COMMAND:
        return status is Status.ACTIVE
    return registration.reader is Reader.KEYS


def differences(module: Module, snapshot: Snapshot) -> tuple[list[Registration], list[str]]:
    """What to change in the module: (registrations whose hooks to set, ids of hooks to delete).

    A module that runs no functions would refuse the hooks of `mode='sync'`; those that it has from before stay.
    """
    wanted = {name: item for name, item in snapshot.registrations.items() if is_hooked(item, snapshot.status[name])}
    missing = [
        item
        for name, item in wanted.items()
        if (name not in module.hooks or module.hooks[name].version != item.code_version)
        and (item.mode is not Mode.SYNC or module.sync is None)
    ]
    return missing, [name for name in module.hooks if name not in wanted]


def stopped(modules: Modules, snapshot: Snapshot) -> list[str]:
    """Registrations that are active in the registry, and that a shard's policy has stopped."""
    found = []
    for name, item in snapshot.registrations.items():
        if item.mode is Mode.SYNC and snapshot.status[name] is Status.ACTIVE:
            hooks = (hook for _, hook in modules.hooks_of(name))
            if any(hook.aborted and hook.version == item.code_version for hook in hooks):
                found.append(name)
    return found


def reconcile(store: Store) -> Reconciled:
    """Give the modules the hooks that the registry asks for, and no others.

    Raises:
        CommandError: a server has the module, and refuses to tell of its hooks (`is_forbidden`).
        ServerUnavailable: the only server, or the shard that has the registry, is away.
    """
    while True:
        modules = read_all(store.link)
        snapshot = store.snapshot()
        if stopped(modules, snapshot):
            _tell_stopped(store)
            continue
        plan = _plan(modules, snapshot, store)
        # One server needs no tags: statistics are in the registry.
        store.note(plan.outboxes, modules.used_tags if modules.clustered else ())
        if not plan.changes and not plan.failed:
            return Reconciled(modules)
        failed = plan.failed | _apply(plan, store, clustered=modules.clustered)
        if store.version() == snapshot.version:
            return Reconciled(read_all(store.link) if plan.changes else modules, failed)


def _tell_stopped(store: Store) -> None:
    """Write into the registry that policies have stopped functions."""
    while True:
        snapshot = store.watched_snapshot()
        names = stopped(read_all(store.link), snapshot)
        if not names:
            store.link.call("UNWATCH")
            return
        changes: list[Command] = [("HSET", keys.STATUS, name, Status.ABORTED.value) for name in names]
        if store.link.transaction([*changes, ("INCR", keys.VERSION)]) is not None:
            for name in names:
                logger.error("%s: aborted in the server; `geartrain resume %s` starts it again", name, name)
            return


def _plan(modules: Modules, snapshot: Snapshot, store: Store) -> _Plan:
    plan = _Plan()
    left = _left_behind(modules, snapshot, store)
    for shard, module in modules.loaded.items():
        missing, unknown = differences(module, snapshot)
        changes: list[tuple[str, Command]] = []
        for name in unknown:
            unlink = () if name in snapshot.registrations else ("UNLINK", *left[name].get(shard, ()))
            changes.append((name, (HOOK, "DEL", name, module.hooks[name].version, *unlink)))
        for item in missing:
            hook = module.hooks.get(item.id)
            if hook is not None and hook.version > item.code_version:
                # The registry is older than the hook: it was restored, or lost its last changes in a failover.
                changes.append((item.id, (HOOK, "DEL", item.id, hook.version)))
            try:
                parcel = _parcel(item, store)
            except UnknownRegistration as error:
                plan.failed[item.id] = str(error)
                continue
            changes.append((item.id, set_command(item, parcel)))
            plan.outboxes.setdefault(item.id, set()).update(outboxes_of(item, module.tag))
        if changes:
            plan.changes[shard] = changes
    return plan


def _parcel(registration: Registration, store: Store) -> Parcel | None:
    """The code that goes with a hook; None: it needs none.

    Raises:
        UnknownRegistration: it is not there, or that of another submission by now.
    """
    if registration.mode is not Mode.SYNC:
        return None
    parcel = store.parcel(registration.session)
    if parcel.version != registration.code_version:
        raise UnknownRegistration(
            f"session {registration.session!r}: its code is of another version than {registration.id}"
        )
    return parcel


def _left_behind(modules: Modules, snapshot: Snapshot, store: Store) -> dict[str, dict[Shard, list[bytes]]]:
    """For each hook's id that nobody registered: keys that go with it, by shard."""
    unknown = {name for module in modules.loaded.values() for name in module.hooks} - snapshot.registrations.keys()
    if not unknown:
        return {}
    known_tags = remains.tags(store.link)
    found: dict[str, dict[Shard, list[bytes]]] = {}
    for name in unknown:
        try:
            outboxes = [stream for stream in store.streams(name) if keys.is_outbox(stream)]
            found[name] = remains.by_shard(store.link, [*outboxes, *remains.shard_keys(name, known_tags)])
        except ServerUnavailable:
            # A shard is away: the hooks of the others go with the outboxes that they have now, the rest later.
            found[name] = {}
    return found


def _apply(plan: _Plan, store: Store, *, clustered: bool) -> dict[str, str]:
    """Send the changes to all shards; why a hook could not be set, by registration id."""
    failed: dict[str, str] = {}
    for shard, changes in plan.changes.items():
        where = f"shard {shard}: " if clustered else ""
        try:
            replies = store.link.on(shard).pipeline([command for _, command in changes])
        except ServerUnavailable as error:
            if not clustered:
                raise
            replies = [ErrorReply(str(error))] * len(changes)
        for (name, command), reply in zip(changes, replies, strict=True):
            if isinstance(reply, ErrorReply) and command[1] == "SET":
                failed[name] = f"{where}{HOOK}: {reply.text}"
            elif isinstance(reply, ErrorReply):
                logger.warning("%s: %sits hook is removed later: %s", name, where, reply.text)
    return failed


def outboxes_of(registration: Registration, tag: bytes) -> list[bytes]:
    """The streams in which a registration's events wait; none for streams and for sync."""
    arguments = registration.arguments
    if registration.mode is Mode.SYNC or not isinstance(arguments, KeysArguments):
        return []
    return keys.outboxes(tag, registration.id, arguments.partitions)


def set_command(registration: Registration, parcel: Parcel | None) -> Command:
    """What sets a registration's hook.

    Args:
        registration: one that `is_hooked`.
        parcel: its session's code; for sync.
    """
    values: dict[str, Argument] = {"pattern": registration.pattern}
    arguments = registration.arguments
    if registration.reader is Reader.STREAM:
        values["reader"] = "stream"
    if isinstance(arguments, KeysArguments):
        lists = {"events": arguments.event_types, "types": arguments.key_types, "commands": arguments.commands}
        values |= {name: " ".join(words) for name, words in lists.items() if words is not None}
    if isinstance(arguments, CommandArguments):
        values = _command_values(registration, arguments)
    if parcel is not None:
        values |= {"mode": "sync", "user": registration.user, "definition": definition(registration, parcel)}
        if isinstance(arguments, KeysArguments):
            values["value"] = int(arguments.read_value)
    elif isinstance(arguments, KeysArguments):
        values["partitions"] = arguments.partitions
        # Without `readValue` records hold no value, whenever it was.
        values["snapshot"] = int(arguments.snapshot and arguments.read_value)
        values["limit"] = arguments.outbox_limit or 0
    flat = [piece for pair in values.items() for piece in pair]
    return (HOOK, "SET", registration.id, registration.code_version, *flat)


def _command_values(registration: Registration, arguments: CommandArguments) -> dict[str, Argument]:
    """The fields of a CommandReader's hook; `order`: which of a script's hooks of one command was registered later."""
    values: dict[str, Argument] = {"reader": "command", "order": registration.position}
    if arguments.trigger is not None:
        values |= {"trigger": arguments.trigger, "inorder": int(arguments.inorder)}
    if arguments.hook is not None:
        values["hook"] = arguments.hook
    if registration.environment:
        values["environment"] = registration.environment
    if arguments.keyprefix is not None:
        values["keyprefix"] = arguments.keyprefix
    return values


def check(link: Link, request: RegisterRequest) -> None:
    """Ask a server's module whether it could hook the commands that a registration names.

    Raises:
        CommandError: why it could not; or the server has no such module.
    """
    values: dict[str, Argument] = {"pattern": request.pattern}
    arguments = request.arguments
    if isinstance(arguments, KeysArguments):
        values["commands"] = " ".join(arguments.commands or ())
    elif isinstance(arguments, CommandArguments):
        values |= {"reader": "command", "hook": arguments.hook or "", "keyprefix": arguments.keyprefix or ""}
    link.call(HOOK, "CHECK", "(new)", *(piece for pair in values.items() for piece in pair))


def definition(registration: Registration, parcel: Parcel) -> str:
    """What the Python half of the module needs in order to run a sync registration, as JSON."""
    made: dict[str, Any] = {
        "registration": registration.to_json(),
        "session": parcel.session,
        "python": parcel.python,
        "signature": parcel.signature,
        "version": parcel.version,
        "requirements": parcel.requirements,
        "blob": base64.b64encode(parcel.blob).decode(),
        "digest": digest(parcel.blob),
    }
    return json.dumps(made)


def digest(blob: bytes) -> str:
    """What shows that code has come as it was sent: Python does not bear damaged code, and would end the server."""
    return hashlib.sha256(blob).hexdigest()


def ignored(registrations: Iterable[Registration]) -> dict[str, list[str]]:
    """For each registration, those of its arguments that have no effect on a server without the module."""
    found: dict[str, list[str]] = {}
    for item in registrations:
        arguments = item.arguments
        if isinstance(arguments, KeysArguments):
            given = {
                "snapshot=True": arguments.snapshot,
                f"partitions={arguments.partitions}": arguments.partitions > 1,
                f"outboxLimit={arguments.outbox_limit}": arguments.outbox_limit is not None,
                f"commands={list(arguments.commands or ())}": arguments.commands is not None,
            }
            names = [name for name, is_given in given.items() if is_given]
            if names:
                found[item.id] = names
    return found
