"""What executions leave behind: counters and a short history, written by workers, read by `ls` and `show`.

Functions that run in the servers of a cluster write theirs in keys of their own shards; `Statistics.total` adds up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from geartrain import keys
from geartrain.wire import Argument, Script

_REPORT = Script.of("geartrain.registry", "lua/report.lua")

COUNTERS = (
    "triggered",
    "succeeded",
    "failed",
    "aborted",
    "retried",
    "dropped",
    "unreplicated",
    "records",
    "duration_us",
    "lag_ms",
)

_LATEST = ("last_duration_us", "last_lag_ms")

CLEARED = (*COUNTERS, *_LATEST)
"""What is 0 again when statistics are cleared."""


@dataclass(slots=True, kw_only=True)
class Statistics:
    """A registration's counters, since it was registered or its statistics were last cleared.

    Attributes:
        triggered: executions that were started; a retried batch counts once.
        succeeded: executions that ended well.
        failed: executions that failed for good: the policy was `continue` or `abort`, or retries are used up.
        aborted: how often the policy stopped the registration, or somebody an execution.
        retried: tries that failed and were (or are being) tried again.
        dropped: key events that were lost because the worker's buffer was full (best effort only).
        unreplicated: executions whose effects too few replicas had acknowledged in time (`wait_replicas`).
        records: records in succeeded executions.
        duration_us: microseconds that executions took, in total.
        last_duration_us: microseconds that the last one took; where several shards execute, the longest of their last.
        lag_ms: milliseconds from the id of a batch's first entry to the batch's end, in total (streams, in the dialect
            redisgears-1.2).
        last_lag_ms: the same of the last batch.
        last_error: the last failure's message, or None.
        last_trace: the user's traceback of the last failure, or None.
        last_error_at: its Unix time in seconds, or None.
    """

    triggered: int = 0
    succeeded: int = 0
    failed: int = 0
    aborted: int = 0
    retried: int = 0
    dropped: int = 0
    unreplicated: int = 0
    records: int = 0
    duration_us: int = 0
    last_duration_us: int = 0
    lag_ms: int = 0
    last_lag_ms: int = 0
    last_error: str | None = None
    last_trace: str | None = None
    last_error_at: float | None = None

    @property
    def average_duration_us(self) -> float:
        """Microseconds that an execution took on average; 0 where there was none."""
        ended = self.succeeded + self.failed + self.retried
        return self.duration_us / ended if ended else 0.0

    @property
    def average_lag_ms(self) -> float:
        """`lag_ms` of a batch on average; 0 where there was none."""
        return self.lag_ms / self.triggered if self.triggered else 0.0

    @classmethod
    def from_hash(cls, flat: Sequence[Any]) -> Statistics:
        """From the reply to HGETALL."""
        stored = dict(zip(flat[::2], flat[1::2], strict=True))
        made = cls()
        for name in CLEARED:
            setattr(made, name, int(stored.get(name, 0)))
        made.last_error = stored.get("last_error")
        made.last_trace = stored.get("last_trace")
        made.last_error_at = float(stored["last_error_at"]) if "last_error_at" in stored else None
        return made

    @classmethod
    def total(cls, parts: Iterable[Statistics]) -> Statistics:
        """Those of several shards together: counters added up, the latest error."""
        made = cls()
        for part in parts:
            for name in COUNTERS:
                setattr(made, name, getattr(made, name) + getattr(part, name))
            for name in _LATEST:
                setattr(made, name, max(getattr(made, name), getattr(part, name)))
            if part.last_error is not None and (part.last_error_at or 0.0) >= (made.last_error_at or 0.0):
                made.last_error, made.last_error_at = part.last_error, part.last_error_at
                made.last_trace = part.last_trace
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One entry of a registration's history.

    Attributes:
        at: Unix time in seconds at which it started.
        duration_us: microseconds that it took.
        records: records of its batch.
        stream: the stream that its records came from ('' for key events).
        last_id: the id of the batch's last entry; for key events without an outbox the last key.
        outcome: `succeeded`, `failed`, `retried` or `aborted`.
        worker: the worker's id.
        error: the failure's message, or None.
    """

    at: float
    duration_us: int
    records: int
    stream: str
    last_id: str
    outcome: str
    worker: str
    error: str | None = None


@dataclass(slots=True)
class Delta:
    """What one worker has to add to a registration's statistics."""

    counters: dict[str, int] = field(default_factory=dict)
    latest: dict[str, str | int | float] = field(default_factory=dict)
    executions: Sequence[Execution] = ()


def report(
    registration: str, delta: Delta, history: int, tag: bytes | None = None
) -> tuple[Script, list[Argument], list[Argument]]:
    """The script call that adds `delta`; `history` executions are kept.

    Args:
        tag: None: in the registry, where the registration is still there. Else: in a shard's own keys, whatever is
            registered.
    """
    counters = {name: amount for name, amount in delta.counters.items() if amount}
    args: list[Argument] = [registration, history]
    for fields in (counters, delta.latest):
        args += [len(fields), *(_sendable(item) for pair in fields.items() for item in pair)]
    args += [json.dumps(asdict(execution)) for execution in delta.executions]
    if tag is not None:
        return _REPORT, [keys.shard_stats(tag, registration), keys.shard_history(tag, registration)], args
    return _REPORT, [keys.stats(registration), keys.history(registration), keys.REGISTRATIONS], args


def _sendable(item: str | float) -> str | int | float:
    r"""What a user's error says may hold lone surrogates, which are no UTF-8: they are shown as `\udcff`."""
    return item.encode("utf-8", "backslashreplace").decode() if isinstance(item, str) else item


def execution_from(line: str) -> Execution:
    """From a line of the history."""
    data: Mapping[str, Any] = json.loads(line)
    return Execution(**data)
