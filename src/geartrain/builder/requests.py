"""What `register()` and `run()` ask for, checked: plain data that any host can keep, print or execute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from geartrain.builder.steps import Step

MOST_PARTITIONS = 1024
"""Streams over which the events of one KeysReader registration can be spread."""


class Reader(StrEnum):
    """Where records come from; the value is the name that `GearsBuilder` takes."""

    KEYS = "KeysReader"
    KEYS_ONLY = "KeysOnlyReader"
    STREAM = "StreamReader"
    PYTHON = "PythonReader"
    SHARDS = "ShardsIDReader"
    COMMAND = "CommandReader"
    TIME = "TimeEvent"
    """No reader of `GearsBuilder`: what `registerTimeEvent` registers."""


class Mode(StrEnum):
    """Where a registration's function runs."""

    SYNC = "sync"
    ASYNC = "async"
    ASYNC_LOCAL = "async_local"


class FailurePolicy(StrEnum):
    """What happens when an execution fails."""

    RETRY = "retry"
    ABORT = "abort"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamArguments:
    """`StreamReader.register`'s own arguments; see `docs/reference/builder.md` for what each one does.

    Attributes:
        batch: records for one execution, at least 1.
        duration: milliseconds after which a partial batch is executed; 0: it waits for the batch size.
        on_failed_policy: retry, abort or continue.
        on_failed_retry_interval: seconds between two tries of a batch.
        max_retries: tries after the first before `retry` becomes `abort`; None: no limit.
        trim_stream: delete entries that every consumer group of the stream has passed, after the commit.
        from_id: where a stream is read from the first time: an entry id, or `$` for what is added after the
            registration.
    """

    batch: int = 1
    duration: int = 0
    on_failed_policy: FailurePolicy = FailurePolicy.RETRY
    on_failed_retry_interval: float = 1
    max_retries: int | None = None
    trim_stream: bool = False
    from_id: str = "0-0"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysArguments:
    """`KeysReader.register`'s own arguments.

    Attributes:
        event_types: lower-case event names (`set`, `hset`, `del`, `expired`, ...) that trigger; None: all.
        key_types: lower-case key types (`string`, `hash`, ...) that trigger; None: all.
        commands: lower-case names of commands; only the events of these trigger, and their clients wait for the
            function, which may change the reply. None: the events of all, and nobody waits.
        read_value: read the key's value for the record, at the moment that the function runs.
        snapshot: record the value with the event (server module only).
        partitions: streams over which the events are spread, by key (server module only).
        outbox_limit: events that may wait in one of them; None: no limit (server module only).
    """

    event_types: tuple[str, ...] | None = None
    key_types: tuple[str, ...] | None = None
    commands: tuple[str, ...] | None = None
    read_value: bool = True
    snapshot: bool = False
    partitions: int = 1
    outbox_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandArguments:
    """`CommandReader.register`'s own arguments: exactly one of `trigger` and `hook` is given.

    Attributes:
        trigger: the name by which `RG.TRIGGER` calls the function.
        hook: lower-case name of the command in whose place the function runs.
        keyprefix: only where the command's first key begins so; None: always. Only with `hook`.
        inorder: one call after the other, in the order in which they came (`mode='async_local'` only).
    """

    trigger: str | None = None
    hook: str | None = None
    keyprefix: str | None = None
    inorder: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeArguments:
    """`registerTimeEvent`'s argument.

    Attributes:
        interval: seconds from one call to the next.
    """

    interval: float


Arguments: TypeAlias = StreamArguments | KeysArguments | CommandArguments | TimeArguments
"""A reader's own arguments of `register()`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRequest:
    """One `register()` call.

    Attributes:
        reader: Reader.KEYS, Reader.STREAM, Reader.COMMAND or Reader.TIME.
        pattern: glob of key names, as in `SCAN MATCH`; of a CommandReader, the trigger's or the command's name; of a
            time event, its interval.
        mode: where it runs.
        name: the user's `name=`, or None.
        description: the builder's `desc`, or None.
        arguments: the reader's own arguments.
        steps: the pipeline.
        on_registered: called once in every process that will run the pipeline, or None.
        convert: results become their `str` (`convertToStr`).
        collect: the results of all shards are brought together.
    """

    reader: Reader
    pattern: str
    mode: Mode
    name: str | None
    description: str | None
    arguments: Arguments
    steps: tuple[Step, ...]
    on_registered: Callable[[], Any] | None
    convert: bool = False
    collect: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One `run()` call.

    Attributes:
        reader: any reader.
        pattern: glob of key names (PythonReader, ShardsIDReader: unused).
        source: the generator function of a PythonReader, or None.
        no_scan: KeysReader, KeysOnlyReader: `pattern` is one key's exact name.
        read_value: KeysReader: read the values.
        from_id: StreamReader: the first id to read.
        description: the builder's `desc`, or None.
        steps: the pipeline.
        convert: results become their `str` (`convertToStr`).
        collect: the results of all shards are brought together; otherwise those of the shard alone where the run began.
        local: only that shard is read (`mode='async_local'`).
        count: KeysOnlyReader: keys that the server looks at for one SCAN; None: as many as usual.
        pattern_generator: KeysOnlyReader: called on each shard, for that shard's (pattern, no_scan); None: the same
            everywhere.
    """

    reader: Reader
    pattern: str
    source: Callable[[], Any] | None = None
    no_scan: bool = False
    read_value: bool = True
    from_id: str = "0-0"
    description: str | None = None
    steps: tuple[Step, ...] = ()
    convert: bool = False
    collect: bool = True
    local: bool = False
    count: int | None = None
    pattern_generator: Callable[[], tuple[str, bool]] | None = None
