"""Functions in the server: servers with the module loaded, and registrations that tests set as hooks by themselves."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from geartrain import server
from geartrain.builder import RegisterRequest, hosted
from geartrain.config import Dialect
from geartrain.errors import GeartrainError
from geartrain.registry import Code, Parcel, Registration, Session, Statistics, Store, hooks, seal
from geartrain.registry.records import id_for
from geartrain.wire import Link
from support.waiting import wait_for


def find_module() -> Path:
    """The server module; skips the running test where there is none."""
    try:
        return server.find_module()
    except GeartrainError as error:
        pytest.skip(f"no server module: {error}")


def load_line(*, timeout_ms: int = 1000, python: str = sys.executable) -> dict[str, str]:
    """The setting with which a server loads the module."""
    return {"loadmodule": f"{find_module()} sync-timeout {timeout_ms} python {python}"}


class _Requests:
    """The host of a script: it keeps what is registered."""

    def __init__(self, session: str, dialect: Dialect) -> None:
        self.dialect = dialect
        self.session = session
        self.found: dict[str, RegisterRequest] = {}

    def register(self, request: RegisterRequest) -> str:
        """Keep it; its id."""
        made = id_for(self.session, request, self.found)
        self.found[made] = request
        return made

    def run(self, request: object) -> list[object]:
        """No test of these runs anything at once."""
        raise NotImplementedError(request)


def register(
    link: Link,
    script: Callable[[], object],
    *,
    session: str = "tests",
    dialect: Dialect = Dialect.GEARTRAIN,
    user: str | None = None,
    changed: dict[str, str] | None = None,
    loads: bool = True,
) -> list[str]:
    """Submit what `script` registers, set its hooks and wait until they are loaded; their ids.

    Args:
        link: a connection.
        script: calls `GearsBuilder(...).register(...)`.
        session: the session's name.
        dialect: the record format.
        user: whose permissions the functions have; None: the connection's.
        changed: fields of the definitions to replace; a changed blob gets its digest.
        loads: False: they must not run; errors are looked at by the caller.
    """
    host = _Requests(session, dialect)
    with hosted(host):
        script()
    module = sys.modules.get(script.__module__)
    parcel = seal(
        session, [Code(item.steps, item.on_registered) for item in host.found.values()], [module] if module else []
    )
    records = [
        Registration(
            id=registration,
            session=session,
            reader=request.reader,
            pattern=request.pattern,
            mode=request.mode,
            description=None,
            dialect=dialect,
            arguments=request.arguments,
            position=position,
            code_version=0,
            python=parcel.python,
            convert=request.convert,
        )
        for position, (registration, request) in enumerate(host.found.items())
    ]
    store = Store(link)
    about = Session(
        name=session, version=0, updated=time.time(), python=parcel.python, dialect=dialect, script="<tests>"
    )
    store.submit(about, records, parcel, "")
    stored = store.parcel(session)
    snapshot = store.snapshot()
    for registration in host.found:
        record = snapshot.registrations[registration]
        definition = json.loads(hooks.definition(record, stored)) | (changed or {})
        if changed and "blob" in changed:
            definition["digest"] = hooks.digest(base64.b64decode(changed["blob"]))
        set_hook(link, record, json.dumps(definition), user)
    if loads:
        for registration in host.found:
            wait_loaded(link, registration)
    return list(host.found)


def set_hook(link: Link, record: Registration, definition: str, user: str | None) -> None:
    """Set the hook of one registration."""
    parcel = Parcel(session=record.session, blob=b"", python="", signature="", version=record.code_version)
    command = list(hooks.set_command(replace(record, user=user or record.user), parcel))
    command[command.index("definition") + 1] = definition
    link.call(*command)


def wait_loaded(link: Link, registration: str) -> None:
    """Wait until the hook's function is loaded.

    Raises:
        AssertionError: it was refused, or is not loaded in time.
    """
    wait_for(lambda: "not loaded yet" not in state(link, registration), message=f"{registration} is loaded")
    error = state(link, registration)
    assert error == "", error


def state(link: Link, registration: str) -> str:
    """The hook's error; '' where it runs."""
    reply = link.call("GEARTRAIN.HOOK", "LIST")
    for identity, _, error, *_ in reply[reply.index("hooks") + 1]:
        if identity == registration:
            return str(error)
    return "no such hook"


def statistics(link: Link, registration: str) -> Statistics:
    """What the registry says of it."""
    return Store(link).statistics([registration])[registration]
