"""Executions of the dialect redisgears-1.2: of `run()`, and of registrations, each with its status, results and errors.

    begin ──> running ──end──> done, aborted           record: what has a status already, many at once

They are kept until newer ones push them out. Only those that have ended are pushed out, the oldest first, so the bounds
hold as long as no more are running than may be kept. Results and errors are arrays in the text of RESP3, ready to be
answered; nobody unpacks them here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from geartrain import keys
from geartrain.builder.steps import Step
from geartrain.pipeline.describe import function_text
from geartrain.registry.sequence import shard_id
from geartrain.text import to_bytes
from geartrain.wire import Access, Argument, ErrorReply, Script, raise_for

_PACKAGE = "geartrain.registry"
_RECORD = Script.of(_PACKAGE, "lua/bounds.lua", "lua/record.lua")
_END = Script.of(_PACKAGE, "lua/bounds.lua", "lua/end.lua")
_DISCARD = Script.of(_PACKAGE, "lua/bounds.lua", "lua/discard.lua")

EMPTY = b"*0\r\n"
"""An array with nothing in it, as results and errors are kept."""

_AT_ONCE = 100
"""Executions that one script records: the server serves nobody else meanwhile."""


class State(StrEnum):
    """An execution's status, by its documented name."""

    CREATED = "created"
    RUNNING = "running"
    DONE = "done"
    ABORTED = "aborted"
    PENDING_CLUSTER = "pending_cluster"
    PENDING_RUN = "pending_run"
    PENDING_RECEIVE = "pending_receive"
    PENDING_TERMINATION = "pending_termination"

    @property
    def ended(self) -> bool:
        """Whether nothing comes after it."""
        return self in (State.DONE, State.ABORTED)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many executions are kept.

    Attributes:
        executions: all together (MaxExecutions).
        per_registration: of one registration (MaxExecutionsPerRegistration).
    """

    executions: int = 1000
    per_registration: int = 100


@dataclass(frozen=True, slots=True)
class PlanStep:
    """A step of an execution's plan.

    Attributes:
        type: `map`, `foreach`, ...
        name: of its callback.
        arg: its argument, as text.
        duration_ms: milliseconds that it took; 0 where that was not measured.
    """

    type: str
    name: str
    arg: str
    duration_ms: int = 0


def plan_of(steps: Iterable[Step]) -> tuple[PlanStep, ...]:
    """The plan of a pipeline, as it is shown: nobody measures how long a step takes."""
    return tuple(
        PlanStep(
            type=step.kind.value,
            name=", ".join(map(function_text, step.functions)) or step.kind.value,
            arg=", ".join(f"{name}={value!r:.100}" for name, value in step.options.items()),
        )
        for step in steps
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is kept of an execution, without its results and errors.

    Attributes:
        id: its id; '' before it is recorded.
        status: how far it is.
        session: the session that it belongs to; '' where there is none.
        registration: the id of its registration; None: it is of `run()`.
        owner: the control lane of the process that executes it; '' where it cannot be aborted.
        started: Unix time in seconds.
        duration_us: microseconds that it took.
        read_us: microseconds of these that its reader took.
        results: how many results it has.
        errors: how many errors it has.
        shards_received: shards that were given a part of it; 0 on a server that is no cluster.
        shards_completed: those of them that are done.
        steps: its plan.
    """

    id: str = ""
    status: State = State.RUNNING
    session: str = ""
    registration: str | None = None
    owner: str = ""
    started: float = 0.0
    duration_us: int = 0
    read_us: int = 0
    results: int = 0
    errors: int = 0
    shards_received: int = 0
    shards_completed: int = 0
    steps: tuple[PlanStep, ...] = ()


@dataclass(frozen=True, slots=True)
class Yield:
    """What an execution has given: two arrays in the text of RESP3."""

    results: bytes = EMPTY
    errors: bytes = EMPTY


class Executions:
    """The executions that are kept. For one thread, as its link is.

    Args:
        link: a connection.
        limits: how many are kept.
    """

    def __init__(self, link: Access, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.link = link

    def begin(self, execution: Kept) -> str:
        """Keep one that begins now; its id."""
        return self.record([(execution, Yield())])[0]

    def record(self, executions: Sequence[tuple[Kept, Yield]]) -> list[str]:
        """Keep several, whatever their status; their ids (also of those that the bounds push out at once)."""
        ids: list[str] = []
        for start in range(0, len(executions), _AT_ONCE):
            args: list[Argument] = [*self._bounds(), shard_id(self.link)]
            for execution, given in executions[start : start + _AT_ONCE]:
                fields = _fields(execution, given)
                args += [execution.registration or "", len(fields) // 2, *fields]
            ids += map(str, self.link.script(_RECORD, [keys.EXECUTIONS, keys.SEQUENCE], args))
        return ids

    def end(self, execution: Kept, given: Yield) -> bool:
        """Note how one has ended; False where it has ended before, or is not kept any more.

        One of which somebody has noted that it was aborted gets what it has given, if that is how it has ended.

        Args:
            execution: with the id that `begin` gave it, and a status that is an end.
            given: its results and errors.
        """
        noted = execution.status.value if execution.status is State.ABORTED else ""
        args = [*self._bounds(), execution.id, noted, *_fields(execution, given)]
        return bool(self.link.script(_END, [keys.EXECUTIONS], args))

    def abort(self, execution_id: str) -> bool:
        """Note that one was aborted, whose process cannot say so; False where it has ended, or is not kept."""
        args: list[Argument] = [*self._bounds(), execution_id, "", "status", State.ABORTED.value]
        return bool(self.link.script(_END, [keys.EXECUTIONS], args))

    def ids(self) -> list[str]:
        """All that are kept, the oldest first."""
        return list(map(str, self.link.call("ZRANGE", keys.EXECUTIONS, 0, -1)))

    def all(self) -> list[Kept]:
        """All that are kept, the oldest first."""
        return [item for item in self.several(self.ids()) if item is not None]

    def several(self, ids: Iterable[str]) -> list[Kept | None]:
        """Those with these ids; None for each that is not kept."""
        ids = list(ids)
        replies = self.link.pipeline([("HMGET", keys.execution(item), *_NAMES) for item in ids])
        return [_kept(item, _checked(reply)) for item, reply in zip(ids, replies, strict=True)]

    def get(self, execution_id: str) -> Kept | None:
        """One; None where it is not kept."""
        return self.several([execution_id])[0]

    def results(self, execution_id: str) -> Yield | None:
        """What one has given so far; None where it is not kept."""
        results, errors = self.link.call("HMGET", keys.execution(execution_id), "result_blob", "error_blob")
        return None if results is None or errors is None else Yield(to_bytes(results), to_bytes(errors))

    def drop(self, execution_id: str) -> State | None:
        """Keep one no longer, if it has ended; the status that it had, None where it is not kept."""
        args: list[Argument] = [keys.EXECUTION, keys.EXECUTIONS_OF, execution_id]
        status = self.link.script(_DISCARD, [keys.EXECUTIONS], args)
        return None if status is None else State(status)

    def _bounds(self) -> list[Argument]:
        return [keys.EXECUTION, keys.EXECUTIONS_OF, self.limits.executions, self.limits.per_registration]


_COUNTS = ("duration_us", "read_us", "results", "errors", "shards_received", "shards_completed")
_NAMES = ("status", "session", "registration", "owner", "started", "steps", *_COUNTS)


def _fields(execution: Kept, given: Yield) -> list[Argument]:
    """Names and values as they are kept; the registration is the script's."""
    fields: dict[str, Argument] = {
        "status": execution.status.value,
        "session": execution.session,
        "owner": execution.owner,
        "started": execution.started,
        "steps": _plan_text(execution.steps),
        "result_blob": given.results,
        "error_blob": given.errors,
    }
    fields |= {name: getattr(execution, name) for name in _COUNTS}
    return [item for pair in fields.items() for item in pair]


@lru_cache(maxsize=256)
def _plan_text(steps: tuple[PlanStep, ...]) -> str:
    """A plan as it is kept; that of a registration is the same for all of its executions."""
    return json.dumps([list(asdict(step).values()) for step in steps])


def _kept(execution_id: str, values: Sequence[Any]) -> Kept | None:
    stored = dict(zip(_NAMES, values, strict=True))
    if stored["status"] is None:
        return None
    counts: dict[str, Any] = {name: int(stored[name]) for name in _COUNTS}
    return Kept(
        id=execution_id,
        status=State(stored["status"]),
        session=stored["session"],
        registration=stored["registration"],
        owner=stored["owner"],
        started=float(stored["started"]),
        steps=tuple(PlanStep(*step) for step in json.loads(stored["steps"])),
        **counts,
    )


def _checked(reply: Any) -> Any:
    if isinstance(reply, ErrorReply):
        raise_for(reply, ("HMGET",))
    return reply
