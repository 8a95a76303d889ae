"""What is registered, and whether it can run: Python versions, signatures, states, workers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from geartrain.builder import KeysArguments, Mode, Reader
from geartrain.cli.health.finding import Finding, failed, ok, warning
from geartrain.errors import BadSignature, PythonMismatch, RegistryError
from geartrain.registry import Parcel, Registration, Session, Status, Store
from geartrain.registry.code import PYTHON, SECRET_VARIABLE, check
from geartrain.text import to_bytes
from geartrain.wire import Access
from geartrain.worker.membership import Member, live


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the registry holds.

    Attributes:
        sessions: with their code, which is not unpickled.
        registrations: by id.
        status: by registration id.
        workers: those that live, by id.
        errors: the last failure, by id, of each registration whose session has requirements.
        streams: (pattern, a stream that matches, or the pattern itself) of each StreamReader registration.
    """

    sessions: Sequence[tuple[Session, Parcel]]
    registrations: Mapping[str, Registration]
    status: Mapping[str, Status]
    workers: Mapping[str, Member]
    streams: Sequence[tuple[str, bytes]]
    errors: Mapping[str, str | None]

    @property
    def keys_readers(self) -> int:
        """How many registrations need key events."""
        return sum(item.reader is Reader.KEYS for item in self.registrations.values())

    @property
    def called(self) -> bool:
        """Whether workers are called by commands: for a trigger, a hook, or a client that waits for a key event."""
        return any(
            item.reader is Reader.COMMAND
            or (isinstance(item.arguments, KeysArguments) and bool(item.arguments.commands))
            for item in self.registrations.values()
            if item.mode is not Mode.SYNC
        )


def holdings(link: Access) -> Holdings:
    """Read the registry.

    Raises:
        CommandError: the user is not permitted to.
        ServerUnavailable: the shard that has it is away.
    """
    store = Store(link)
    snapshot = store.snapshot()
    streams = []
    for name, item in snapshot.registrations.items():
        if item.reader is Reader.STREAM:
            known = store.streams(name)
            streams.append((item.pattern, known[0] if known else to_bytes(item.pattern)))
    sessions = [(session, store.parcel(session.name)) for session in store.sessions()]
    needy = [name for name, item in snapshot.registrations.items() if item.environment]
    errors = {name: found.last_error for name, found in store.statistics(needy).items()}
    named = list(dict.fromkeys(streams))
    return Holdings(sessions, snapshot.registrations, snapshot.status, live(link), named, errors)


def check_registrations(held: Holdings) -> Iterator[Finding]:
    """Whether any has been stopped by its failure policy."""
    count = len(held.registrations)
    stopped = sorted(name for name, status in held.status.items() if status is Status.ABORTED)
    if stopped:
        text = f"{len(stopped)} of {count} are aborted: {', '.join(stopped)}"
        yield warning("registrations", text, f"geartrain show {stopped[0]}  (why), geartrain resume {stopped[0]}")
    else:
        yield ok("registrations", f"{count} in {len(held.sessions)} sessions")


def check_python(held: Holdings) -> Iterator[Finding]:
    """Whether there is a worker, or this Python, for the code of every session."""
    live_versions = {member.python for member in held.workers.values()}
    others = [session for session, _ in held.sessions if session.python != PYTHON]
    for session in others:
        text = f"session {session.name!r} was registered with Python {session.python}, and this is {PYTHON}"
        if session.python in live_versions:
            yield ok("python", f"{text}; a worker with Python {session.python} lives")
        else:
            fix = f"register it again with Python {PYTHON}, or run a worker with Python {session.python}"
            yield failed("python", f"{text}; no worker that lives can run it", fix)
    if not others:
        yield ok("python", f"Python {PYTHON}, as all sessions")


def check_signatures(held: Holdings) -> Iterator[Finding]:
    """Whether workers with this environment's secret, or without one, take the code."""
    name = "signatures"
    refused = [session.name for session, parcel in held.sessions if _is_refused(parcel)]
    signed = [session.name for session, parcel in held.sessions if parcel.signature]
    if refused:
        text = f"{SECRET_VARIABLE} is set here, and the code of {', '.join(refused)} is not signed with it"
        yield failed(name, text, f"geartrain register SCRIPT --session {refused[0]}")
    elif os.environ.get(SECRET_VARIABLE):
        yield ok(name, f"{SECRET_VARIABLE} is set, and all code is signed with it")
    elif signed:
        text = f"{SECRET_VARIABLE} is not set here: the signature of {', '.join(signed)} is not checked"
        yield warning(name, text, f"export {SECRET_VARIABLE}=...  (the secret that it was registered with)")
    else:
        yield ok(name, f"{SECRET_VARIABLE} is not set: whoever may write keys under geartrain: can run code in workers")


def check_workers(held: Holdings) -> Iterator[Finding]:
    """Whether anybody works."""
    if held.workers:
        hosts = {member.host for member in held.workers.values()}
        yield ok("workers", f"{len(held.workers)} on {len(hosts)} {'machine' if len(hosts) == 1 else 'machines'}")
        for worker, member in sorted(held.workers.items()):
            if member.refused:
                names = ", ".join(sorted(member.refused))
                yield warning("workers", f"{worker} cannot run {names}", f"geartrain show {min(member.refused)}")
    elif held.registrations:
        yield warning("workers", "none lives: nothing is executed", "geartrain worker")
    else:
        yield ok("workers", "none, and there is nothing to do")


def check_environments(held: Holdings) -> Iterator[Finding]:
    """Whether there is a worker for each environment that registrations need."""
    needed: dict[str, list[str]] = {}
    for name, item in sorted(held.registrations.items()):
        if item.environment and item.mode is not Mode.SYNC and held.status[name] is Status.ACTIVE:
            needed.setdefault(item.environment, []).append(name)
    served = {member.environment for member in held.workers.values()}
    requirements = {session.environment: ", ".join(session.requirements) for session, _ in held.sessions}
    for environment, names in needed.items():
        what = f"{requirements.get(environment, environment)}, for {', '.join(names)}"
        error = held.errors.get(names[0])
        if environment in served:
            yield ok("requirements", f"a worker has {what}")
        elif error is not None:
            why = error.partition("\n")[0]
            yield failed("requirements", f"no worker has {what}: {why}", f"geartrain show {names[0]}  (what pip said)")
        elif held.workers:
            yield warning("requirements", f"no worker has {what} yet: one may be installing it", "geartrain doctor")


def _is_refused(parcel: Parcel) -> bool:
    try:
        check(parcel)
    except BadSignature:
        return True
    except (PythonMismatch, RegistryError):
        return False
    return False
