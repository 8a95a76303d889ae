"""What is known about a registration, as `ls` and `show` give it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from geartrain import keys
from geartrain.builder import Mode, Reader
from geartrain.client.lags import ShardLag, by_shard, lags_of, shard_name, total
from geartrain.config import Dialect
from geartrain.errors import CommandError
from geartrain.registry import Delivery, Execution, Hook, Registration, Session, Snapshot, Statistics, Status, Store
from geartrain.registry.modules import read_all
from geartrain.registry.partial import ask
from geartrain.registry.store import unknown
from geartrain.text import to_text
from geartrain.wire import ErrorReply
from geartrain.worker.leases import key_events_lease


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationInfo:
    """A registration and how it fares.

    Attributes:
        id, session, reader, pattern, mode, description, dialect: as registered.
        status: active, paused or aborted.
        delivery: what is promised for its events.
        python: the minor version of Python that its workers need, for example `3.11`.
        version: counts the submissions of its session.
        triggered: executions that were started; a retried batch counts once.
        succeeded: executions that ended well.
        failed: executions that failed for good.
        aborted: how often the policy stopped it.
        retried: tries that failed and were (or are being) tried again.
        dropped: key events that were lost because there was no room: in a worker's buffer, or, with the server module,
            because of `outboxLimit`.
        unreplicated: executions whose effects too few replicas had acknowledged in time (`--wait-replicas`).
        records: records in succeeded executions.
        lag: entries of its streams, or key events in its outbox, that are not committed yet; None where that is not
            known: key events without the server module, no worker has found a stream yet, the server cannot tell, or a
            shard is away. Commands have none.
        last_duration_ms: milliseconds that the last execution took.
        average_duration_ms: milliseconds that an execution took on average; 0 where there was none.
        last_error: the last failure's message, or None.
        last_error_at: its Unix time in seconds, or None.
    """

    id: str
    session: str
    reader: Reader
    pattern: str
    mode: Mode
    description: str | None
    dialect: Dialect
    status: Status
    delivery: Delivery
    python: str
    version: int
    triggered: int
    succeeded: int
    failed: int
    aborted: int
    retried: int
    dropped: int
    unreplicated: int
    records: int
    lag: int | None
    last_duration_ms: float
    average_duration_ms: float
    last_error: str | None
    last_error_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A registration on one stream.

    Attributes:
        stream: the stream's name.
        shard: `host:port` of the primary that has it; None where there is no cluster, or nobody serves its slot.
        lag: entries that are not committed yet; None where the server cannot tell, or its shard is away.
        owner: the worker that has the lease; None where nobody has, or its shard is away.
    """

    stream: str | bytes
    shard: str | None
    lag: int | None
    owner: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationDetails:
    """All that is known about a registration.

    Attributes:
        info: as `ls` shows it.
        arguments: of `register()`, by the specification's names.
        script: the path of its script, as it was given; `-` where it was registered by a program.
        requirements: packages that its session needs.
        environment: of these packages, which its workers have; '' where there are none.
        source: the script's text; '' where it was registered by a program.
        submitted_at: Unix time in seconds of the session's last submission.
        last_trace: the user's traceback of the last failure, or None.
        owner: key events without the server module: the worker that listens; otherwise None.
        partitions: streams that have its consumer group, and its outboxes, by name.
        shards: how far it is behind on each shard of the cluster; [] where there is no cluster, or no stream is known.
        history: the last executions, newest first.
    """

    info: RegistrationInfo
    arguments: dict[str, Any]
    script: str
    requirements: tuple[str, ...]
    environment: str
    source: str
    submitted_at: float
    last_trace: str | None
    owner: str | None
    partitions: list[Partition]
    shards: list[ShardLag]
    history: list[Execution]


def all_infos(store: Store) -> list[RegistrationInfo]:
    """All registrations, by id."""
    snapshot = store.snapshot()
    sessions = _sessions(store)
    statistics = store.statistics(list(snapshot.registrations))
    hooks = _hooks(store)
    return [
        _info(store, snapshot, item, sessions.get(record.session), statistics[item], hooks.get(item))
        for item, record in sorted(snapshot.registrations.items())
    ]


def details(store: Store, registration: str) -> RegistrationDetails:
    """One registration.

    Raises:
        UnknownRegistration: there is none of that id.
    """
    snapshot = store.snapshot()
    record = snapshot.registrations.get(registration)
    session = _sessions(store).get(record.session) if record is not None else None
    if record is None or session is None:
        raise unknown(registration)
    statistics = store.statistics([registration])[registration]
    partitions = _partitions(store, registration)
    return RegistrationDetails(
        info=_info(store, snapshot, registration, session, statistics, _hooks(store).get(registration)),
        arguments=_arguments(record),
        script=session.script,
        requirements=session.requirements,
        environment=session.environment,
        source=store.source(record.session),
        submitted_at=session.updated,
        last_trace=statistics.last_trace,
        owner=_owners(store, [key_events_lease(registration)])[0] if record.reader is Reader.KEYS else None,
        partitions=partitions,
        shards=by_shard(store.link, [(item.shard, item.lag) for item in partitions]),
        history=store.history(registration),
    )


def _sessions(store: Store) -> dict[str, Session]:
    return {session.name: session for session in store.sessions()}


def _hooks(store: Store) -> Mapping[str, Hook]:
    """The hooks in the server modules, by registration id; none where there is no module, or it does not tell."""
    try:
        modules = read_all(store.link)
    except CommandError:
        return {}
    names = {name for module in modules.loaded.values() for name in module.hooks}
    return {name: hook for name in names if (hook := modules.hook(name)) is not None}


def _info(
    store: Store,
    snapshot: Snapshot,
    registration: str,
    session: Session | None,
    statistics: Statistics,
    hook: Hook | None,
) -> RegistrationInfo:
    record = snapshot.registrations[registration]
    error, error_at = _last_error(statistics, session, hook)
    return RegistrationInfo(
        id=record.id,
        session=record.session,
        reader=record.reader,
        pattern=record.pattern,
        mode=record.mode,
        description=record.description,
        dialect=record.dialect,
        status=_status(snapshot.status[registration], record, hook),
        delivery=record.delivery(hooked=hook is not None),
        python=record.python,
        version=session.version if session is not None else 0,
        triggered=statistics.triggered,
        succeeded=statistics.succeeded,
        failed=statistics.failed,
        aborted=statistics.aborted,
        retried=statistics.retried,
        dropped=statistics.dropped + (hook.dropped if hook is not None else 0),
        unreplicated=statistics.unreplicated,
        records=statistics.records,
        lag=_lag(store, record, hook),
        last_duration_ms=round(statistics.last_duration_us / 1000, 3),
        average_duration_ms=round(statistics.average_duration_us / 1000, 3),
        last_error=error,
        last_error_at=error_at,
    )


def _status(status: Status, record: Registration, hook: Hook | None) -> Status:
    """The registry's; or what a function in a server says of itself, before a worker has told the registry."""
    stopped = hook is not None and hook.aborted and hook.version == record.code_version
    return Status.ABORTED if stopped and status is Status.ACTIVE else status


def _last_error(statistics: Statistics, session: Session | None, hook: Hook | None) -> tuple[str | None, float | None]:
    """The last failure, and its time; the module's reason why a hook does not run, if nothing failed since it is there.

    The module gives its reason without a time: it cannot be older than the code that it is about.
    """
    since = session.updated if session is not None else 0.0
    if hook is not None and hook.error and (statistics.last_error_at or 0.0) < since:
        return hook.error, None
    return statistics.last_error, statistics.last_error_at


def _lag(store: Store, record: Registration, hook: Hook | None) -> int | None:
    if record.reader in {Reader.COMMAND, Reader.TIME}:
        # Its callers wait; nothing else does.
        return None
    lags = lags_of(store, record.id)
    if not lags:
        # With a hook nothing was captured yet.
        return 0 if hook is not None and record.mode is not Mode.SYNC else None
    return total(lags.values())


def _partitions(store: Store, registration: str) -> list[Partition]:
    lags = lags_of(store, registration)
    owners = _owners(store, [keys.lease(registration, stream) for stream in lags])
    return [
        Partition(stream=to_text(stream), shard=shard_name(store.link, stream), lag=lag, owner=owner)
        for (stream, lag), owner in zip(lags.items(), owners, strict=True)
    ]


def _owners(store: Store, leases: list[bytes]) -> list[str | None]:
    replies = ask(store.link, [(lease, ("GET", lease)) for lease in leases])
    return [None if reply is None or isinstance(reply, ErrorReply) else str(reply) for reply in replies]


def _arguments(record: Registration) -> dict[str, Any]:
    arguments = record.arguments
    return {_camel(item.name): getattr(arguments, item.name) for item in fields(arguments)}


def _camel(name: str) -> str:
    """`on_failed_policy` as the specification writes it: `onFailedPolicy`."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
