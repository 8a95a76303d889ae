"""RG.DUMPREGISTRATIONS, UNREGISTER, PAUSEREGISTRATIONS, UNPAUSEREGISTRATIONS, CLEARREGISTRATIONSSTATS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from geartrain import keys
from geartrain.builder.requests import CommandArguments, KeysArguments, StreamArguments
from geartrain.registry import Registration, Session, Statistics
from geartrain.resp3 import Status
from geartrain.rg.arguments import count, text
from geartrain.rg.server import Server
from geartrain.text import shown
from geartrain.worker.serving import Call

OK = Status("OK")


def dump(call: Call, server: Server) -> list[Any]:
    """Every registration as alternating names and values."""
    count(call.args, 1, 1)
    _reported(server)
    durations = bool(server.config.number("RegistrationDurations"))
    sessions = {session.name: session for session in server.store.sessions()}
    records = server.store.snapshot().registrations
    return [
        [*head, "PD", private_data(record, sessions.get(record.session))]
        for record, head in described(server, records, durations=durations)
    ]


def unregister(call: Call, server: Server) -> Status:
    """Remove a registration, with its events that wait."""
    count(call.args, 2, 2)
    server.client.unregister(text("id", call.args[1]))
    return OK


def pause(call: Call, server: Server) -> Status:
    """Pause registrations, all of them or none."""
    count(call.args, 2)
    server.client.pause(*(text("id", item) for item in call.args[1:]))
    return OK


def unpause(call: Call, server: Server) -> Status:
    """Let registrations go on, all of them or none."""
    count(call.args, 2)
    server.client.resume(*(text("id", item) for item in call.args[1:]))
    return OK


def clear_statistics(call: Call, server: Server) -> Status:
    """Set the counters of all registrations back to 0."""
    count(call.args, 1, 1)
    _reported(server)
    server.store.clear_statistics(server.store.snapshot().registrations)
    return OK


def _reported(server: Server) -> None:
    """Have all workers write their statistics, which they would do within a second anyway."""
    home = server.link.at_home()
    # One that has no control lane, as it runs nothing of RedisGears', refuses at once.
    home.pipeline(
        [("GEARTRAIN.CALL", f"control:worker:{shown(name)}", "REPORT") for name in home.call("HKEYS", keys.WORKERS)]
    )


def described(
    server: Server, records: Mapping[str, Registration], *, durations: bool
) -> Iterable[tuple[Registration, list[Any]]]:
    """Each registration, and what there is to say of it: id, reader, desc, RegistrationData.

    Args:
        server: has their statistics.
        records: registrations by id.
        durations: whether their data tell durations and lags too.
    """
    statistics = server.store.statistics(list(records))
    for name, record in sorted(records.items(), key=lambda item: (item[1].session, item[1].position)):
        data = _data(record, statistics[name], durations=durations)
        head = ["id", name, "reader", record.reader.value, "desc", record.description, "RegistrationData", data]
        yield record, head


def private_data(record: Registration, session: Session | None) -> str:
    """The session, and what it requires, as the text of a Python dict."""
    requirements = session.requirements if session is not None else ()
    return str({"sessionId": record.session, "depsList": [{"name": item} for item in requirements]})


def _data(record: Registration, statistics: Statistics, *, durations: bool) -> list[Any]:
    data: list[Any] = [
        "mode", record.mode.value,
        "numTriggered", statistics.triggered,
        "numSuccess", statistics.succeeded,
        "numFailures", statistics.failed,
        "numAborted", statistics.aborted,
    ]  # fmt: skip
    if durations:
        data += _durations(record, statistics)
    return [*data, "lastError", statistics.last_error, "args", _arguments(record)]


def _durations(record: Registration, statistics: Statistics) -> list[Any]:
    """In milliseconds; averages as text."""
    found: list[Any] = [
        "lastRunDurationMS", statistics.last_duration_us // 1000,
        "totalRunDurationMS", statistics.duration_us // 1000,
        "avgRunDurationMS", _decimal(statistics.average_duration_us / 1000),
    ]  # fmt: skip
    if isinstance(record.arguments, StreamArguments):
        lag = _decimal(statistics.average_lag_ms)
        found += ["lastEstimatedLagMS", statistics.last_lag_ms, "avgEstimatedLagMS", lag]
    return found


def _decimal(number: float) -> str:
    return f"{number:.3f}".rstrip("0").rstrip(".")


def _arguments(record: Registration) -> list[Any]:
    """The reader's own arguments of `register()`."""
    match record.arguments:
        case KeysArguments() as found:
            types = (None if words is None else list(words) for words in (found.event_types, found.key_types))
            return ["regex", record.pattern, "eventTypes", next(types), "keyTypes", next(types)]
        case StreamArguments() as found:
            return [
                "batchSize", found.batch,
                "durationMS", found.duration,
                "stream", record.pattern,
                "onFailedPolicy", found.on_failed_policy.value,
                "onFailedRetryInterval", found.on_failed_retry_interval,
                "trimStream", int(found.trim_stream),
            ]  # fmt: skip
        case CommandArguments(trigger=None) as found:
            return ["hook", found.hook, "keyprefix", found.keyprefix, "inorder", int(found.inorder)]
        case CommandArguments() as found:
            return ["trigger", found.trigger, "inorder", int(found.inorder)]
    return []
