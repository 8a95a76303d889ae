"""Hooks: what the server module has to know of the registrations, and how it comes to know it.

A hook tells the module which key events to capture, or which function to call (`mode='sync'`). The registry decides;
the module's hooks are a copy, kept in step by whoever changes the registry, and by every worker that finds a difference
(the server was restarted from an older file, somebody flushed it, a client died halfway).

| registration | has a hook |
|---|---|
| KeysReader, async or async_local | always; paused and aborted too: events are captured, and wait in the outbox |
| KeysReader or StreamReader, sync | while it is active: a function that is paused is not called |
| StreamReader, async or async_local | never: workers read the stream |

1. WATCH the registry's version, then read the registry and the module's hooks.
2. In one transaction: SET what is missing or of another version, DEL what nobody registered, and its outboxes with it.
3. The registry has changed meanwhile: the transaction did nothing; again from 1.

So a worker that looks at an old registry cannot remove a hook that was just made.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from geartrain import keys
from geartrain.builder.requests import MOST_PARTITIONS, KeysArguments, Mode, Reader
from geartrain.errors import CommandError, UnknownRegistration
from geartrain.registry.code import Parcel
from geartrain.registry.records import Registration, Status
from geartrain.registry.store import Snapshot, Store
from geartrain.text import shown, to_bytes
from geartrain.wire import Access, Argument, Command, ErrorReply

HOOK = "GEARTRAIN.HOOK"

HOW = "`geartrain module` prints its path, and `loadmodule PATH` in the server's configuration loads it"
"""What to do where a server has no module."""

_OK = "ok"


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook, as the module tells.

    Attributes:
        id: the registration's.
        version: its `code_version` when the hook was set.
        error: why it does not run; '': it does.
        captured: events that it has taken.
        dropped: events that found its outbox full.
    """

    id: str
    version: int
    error: str
    captured: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Module:
    """The server module, as it is loaded.

    Attributes:
        tag: the hash tag of its outboxes.
        sync: why it runs no sync registrations; None: it does.
        hooks: by registration id.
    """

    tag: bytes
    sync: str | None
    hooks: Mapping[str, Hook]


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What `reconcile` found and could not do.

    Attributes:
        module: as it is now; None: the server has none.
        failed: for each registration whose hook could not be set, why.
    """

    module: Module | None
    failed: Mapping[str, str] = field(default_factory=dict)


def read(link: Access) -> Module | None:
    """The module of this server; None where it has none.

    Raises:
        CommandError: the server has it, and refuses to tell (`is_forbidden`).
    """
    try:
        flat = link.call(HOOK, "LIST")
    except CommandError as error:
        if error.is_unknown:
            return None
        raise
    found = dict(zip(map(shown, flat[::2]), flat[1::2], strict=True))
    hooks = [
        Hook(shown(item), int(version), shown(why), *map(int, counts)) for item, version, why, *counts in found["hooks"]
    ]
    reason = shown(found["sync"])
    return Module(to_bytes(found["tag"]), None if reason == _OK else reason, {hook.id: hook for hook in hooks})


def is_forbidden(error: CommandError) -> bool:
    """Whether the server has the module, and this user may not look after its hooks."""
    return error.code == "NOPERM"


def forbidden(error: CommandError) -> str:
    """The same, as users read it."""
    return f"the server has the module, and this user may not use {HOOK} ({error.reply}): grant +{HOOK.lower()}"


def is_hooked(registration: Registration, status: Status) -> bool:
    """Whether a registration has a hook; see the table above."""
    if registration.mode is Mode.SYNC:
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


def reconcile(store: Store) -> Reconciled:
    """Give the module the hooks that the registry asks for, and no others.

    Raises:
        CommandError: the server has the module, and refuses to tell of its hooks (`is_forbidden`).
    """
    while True:
        snapshot = store.watched_snapshot()
        try:
            module = read(store.link)
            changes, failed = _changes(module, snapshot, store) if module is not None else ([], {})
        except CommandError:
            store.link.call("UNWATCH")
            raise
        if module is None or not changes:
            store.link.call("UNWATCH")
            return Reconciled(module, failed)
        replies = store.link.transaction([command for _, command in changes])
        if replies is not None:
            failed |= {
                name: f"{HOOK}: {reply.text}"
                for (name, _), reply in zip(changes, replies, strict=True)
                if isinstance(reply, ErrorReply)
            }
            return Reconciled(read(store.link), failed)


def _changes(module: Module, snapshot: Snapshot, store: Store) -> tuple[list[tuple[str, Command]], dict[str, str]]:
    """Commands, each with the id of the registration that it is for; and what cannot be said, and why."""
    missing, unknown = differences(module, snapshot)
    changes: list[tuple[str, Command]] = []
    failed: dict[str, str] = {}
    for item in missing:
        try:
            parcel = store.parcel(item.session) if item.mode is Mode.SYNC else None
        except UnknownRegistration as error:
            failed[item.id] = str(error)
            continue
        changes += [(item.id, command) for command in set_commands(item, parcel, module.tag)]
    used = {name for item in snapshot.registrations.values() for name in outboxes_of(item, module.tag)}
    for name in unknown:
        changes.append((name, (HOOK, "DEL", name)))
        if name not in snapshot.registrations:
            left = [key for count in (1, MOST_PARTITIONS) for key in keys.outboxes(module.tag, name, count)]
            changes.append((name, ("UNLINK", *(key for key in left if key not in used))))
    return changes, failed


def outboxes_of(registration: Registration, tag: bytes) -> list[bytes]:
    """The streams in which a registration's events wait; none for streams and for sync."""
    arguments = registration.arguments
    if registration.mode is Mode.SYNC or not isinstance(arguments, KeysArguments):
        return []
    return keys.outboxes(tag, registration.id, arguments.partitions)


def set_commands(registration: Registration, parcel: Parcel | None, tag: bytes) -> list[Command]:
    """What sets a registration's hook, and notes where its events will be.

    Args:
        registration: one that `is_hooked`.
        parcel: its session's code; for sync.
        tag: of the module's outboxes.
    """
    values: dict[str, Argument] = {"pattern": registration.pattern}
    arguments = registration.arguments
    if registration.reader is Reader.STREAM:
        values["reader"] = "stream"
    if isinstance(arguments, KeysArguments):
        for name, words in (("events", arguments.event_types), ("types", arguments.key_types)):
            if words is not None:
                values[name] = " ".join(words)
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
    commands: list[Command] = [(HOOK, "SET", registration.id, registration.code_version, *flat)]
    streams = outboxes_of(registration, tag)
    if streams:
        commands.append(("SADD", keys.streams(registration.id), *streams))
    return commands


def definition(registration: Registration, parcel: Parcel) -> str:
    """What the Python half of the module needs in order to run a sync registration, as JSON."""
    made: dict[str, Any] = {
        "registration": registration.to_json(),
        "session": parcel.session,
        "python": parcel.python,
        "signature": parcel.signature,
        "version": parcel.version,
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
            }
            names = [name for name, is_given in given.items() if is_given]
            if names:
                found[item.id] = names
    return found
