"""The functions that run in this server, and what they leave in the registry."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Mapping
from typing import Protocol

import _geartrain
from geartrain.builder.requests import Reader
from geartrain.errors import CommandError, GeartrainError, ServerUnavailable
from geartrain.inserver.commandfunctions import CommandFunction
from geartrain.inserver.database import Database
from geartrain.inserver.failures import loading_failed
from geartrain.inserver.keyfunctions import KeysFunction
from geartrain.inserver.sessions import Definition, Sessions
from geartrain.inserver.streamfunctions import StreamFunction
from geartrain.registry.statistics import Delta, report
from geartrain.worker.deployment import deploy

logger = logging.getLogger("geartrain.inserver")

INTERVAL_MS = 500
"""Milliseconds between two writes of statistics."""

HISTORY = 100
"""Executions that a registration's history keeps, as workers keep by default."""


class Function(Protocol):
    """One registration, loaded."""

    id: str
    database: Database

    def start(self) -> None:
        """Take events from now on."""

    def close(self) -> None:
        """The hook goes."""

    def role_changed(self) -> None:
        """This server is a primary again."""

    def deltas(self) -> Iterable[Delta]:
        """What there is to add to its statistics."""

    def written(self) -> None:
        """They have been written."""


_KINDS: Mapping[Reader, type[KeysFunction | StreamFunction | CommandFunction]] = {
    Reader.KEYS: KeysFunction,
    Reader.STREAM: StreamFunction,
    Reader.COMMAND: CommandFunction,
}


class Functions:
    """All of them, by handle."""

    def __init__(self) -> None:
        self._functions: dict[_geartrain.Handle, Function] = {}
        self._sessions = Sessions()
        self._worker = f"server-{os.getpid()}"
        self._was_active = True

    def start(self) -> None:
        """Begin to write statistics."""
        _geartrain.timer(INTERVAL_MS, self._tick)

    def load(self, handle: _geartrain.Handle, hook: str, version: str, definition: bytes, db: int) -> str | None:
        """Load a hook's function; None, or why it does not run (for `GEARTRAIN.HOOK LIST`)."""
        del version
        try:
            failure = self._load(handle, definition, db)
        except GeartrainError as error:
            failure = str(error), ""
        except BaseException as error:  # noqa: BLE001 - the definition is a user's, and so is what it loads
            failure = loading_failed(handle, error, "loading its code")
        if failure is None:
            return None
        latest: dict[str, str | int | float] = {"last_error": failure[0], "last_error_at": time.time()}
        if failure[1]:
            latest["last_trace"] = failure[1]
        self._write(hook, Database(handle), [Delta({}, latest)])
        return failure[0]

    def _load(self, handle: _geartrain.Handle, definition: bytes, db: int) -> tuple[str, str] | None:
        defined = Definition.from_json(definition)
        registration = defined.registration
        if defined.parcel.requirements:
            _refuse_lacking(registration.pattern, defined.parcel.requirements)
        loaded = self._sessions.load(handle, db, defined.parcel)
        deployment = deploy(registration, loaded.codes[registration.position], targets=())
        try:
            self._sessions.register(handle, loaded, registration)
        except BaseException as error:  # noqa: BLE001 - the user's code: whatever it raised is shown, SystemExit too
            return loading_failed(handle, error, "onRegistered")
        function: Function = _KINDS[registration.reader](handle, deployment, HISTORY, self._worker)
        self._functions[handle] = function
        function.start()
        return None

    def unload(self, handle: _geartrain.Handle) -> None:
        """A hook goes; its last statistics too, as the registration is gone or will be reported on anew."""
        function = self._functions.pop(handle, None)
        if function is not None:
            function.close()

    def _tick(self) -> None:
        _geartrain.timer(INTERVAL_MS, self._tick)
        is_active = _geartrain.active()
        if is_active and not self._was_active:
            for function in self._functions.values():
                function.role_changed()
        self._was_active = is_active
        if is_active:
            for function in self._functions.values():
                self._write(function.id, function.database, function.deltas())
                function.written()

    def _write(self, registration: str, database: Database, deltas: Iterable[Delta]) -> None:
        # In a cluster this may be a shard that has not the registry: into keys of its own.
        tag = _geartrain.tag().encode() if _geartrain.CLUSTER else None
        try:
            for delta in deltas:
                database.script(*report(registration, delta, HISTORY, tag))
        except (CommandError, ServerUnavailable, RuntimeError) as error:
            logger.warning("%s: its statistics cannot be written: %s", registration, error)


def _refuse_lacking(pattern: str, requirements: Iterable[str]) -> None:
    """Refuse a function whose session needs what is not installed in this Python.

    Raises:
        RequirementsError: it does.
    """
    # Only where a session has any: the server's process does not need it otherwise.
    from geartrain.environments.installed import missing, refuse_sync  # noqa: PLC0415

    lacking = missing(requirements)
    if lacking:
        raise refuse_sync(pattern, lacking)
