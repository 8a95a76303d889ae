"""`GearsBuilder`: a reader, steps, and then `register()` or `run()`.

`GearsBuilder('StreamReader')` is an instance of `StreamBuilder`, and so on: each reader has the `register` and `run` of
its own signature.
"""

from __future__ import annotations

# The parameters' names are the specification's.
# ruff: noqa: N803
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Self, TypeAlias, overload

from geartrain.builder import checks
from geartrain.builder.calls import checked, closest, completed
from geartrain.builder.host import current_host
from geartrain.builder.requests import (
    MOST_PARTITIONS,
    FailurePolicy,
    KeysArguments,
    Mode,
    Reader,
    RegisterRequest,
    RunRequest,
    StreamArguments,
)
from geartrain.builder.stepping import Stepping
from geartrain.config import Dialect
from geartrain.errors import ArgumentError

Callback: TypeAlias = Callable[[], Any] | None
Words: TypeAlias = list[str] | tuple[str, ...] | None

_NOT_YET = ("CommandReader",)


class GearsBuilder(Stepping):
    """A pipeline that is being written: `GearsBuilder('StreamReader').foreach(f).register('orders:*')`.

    Args:
        reader: where records come from: 'KeysReader', 'KeysOnlyReader', 'StreamReader', 'PythonReader' or
            'ShardsIDReader'.
        defaultArg: what `register()` and `run()` read where they are not told: a glob of key names, or the generator
            function of a PythonReader.
        desc: a description, which `geartrain show` prints.

    Raises:
        ArgumentError: an argument that is not one of these.
    """

    reader: ClassVar[Reader]

    @overload
    def __new__(
        cls, reader: Literal["KeysReader"] = "KeysReader", defaultArg: str = "*", desc: str | None = None
    ) -> KeysBuilder: ...
    @overload
    def __new__(
        cls, reader: Literal["StreamReader"], defaultArg: str = "*", desc: str | None = None
    ) -> StreamBuilder: ...
    @overload
    def __new__(
        cls, reader: Literal["KeysOnlyReader"], defaultArg: str = "*", desc: str | None = None
    ) -> KeysOnlyBuilder: ...
    @overload
    def __new__(
        cls, reader: Literal["PythonReader"], defaultArg: str | Callable[[], Any] = "*", desc: str | None = None
    ) -> PythonBuilder: ...
    @overload
    def __new__(
        cls, reader: Literal["ShardsIDReader"], defaultArg: str = "*", desc: str | None = None
    ) -> ShardsBuilder: ...
    @overload
    def __new__(cls, reader: str, defaultArg: str | Callable[[], Any] = "*", desc: str | None = None) -> Self: ...
    @checked
    def __new__(  # noqa: D102, PYI034  # makes an instance of the reader's own class
        cls,
        reader: str = "KeysReader",
        defaultArg: str | Callable[[], Any] = "*",  # noqa: ARG004  # for __init__, as desc
        desc: str | None = None,  # noqa: ARG004
    ) -> GearsBuilder:
        return super().__new__(_builder_of(reader) if cls is GearsBuilder else cls)

    def __init__(
        self,
        reader: str = "KeysReader",  # noqa: ARG002  # chose the class, in __new__
        defaultArg: str | Callable[[], Any] = "*",
        desc: str | None = None,
    ) -> None:
        super().__init__()
        if desc is not None and not isinstance(desc, str):
            raise checks.wrong("GearsBuilder", "desc", desc, "a str or None")
        if not (callable(defaultArg) and self.reader is Reader.PYTHON):
            checks.pattern("GearsBuilder", "defaultArg", defaultArg)  # type: ignore[arg-type]
        self._default = defaultArg
        self._description = desc

    def register(self, *args: Any, **kwargs: Any) -> str:  # noqa: ARG002  # whatever they are
        """Run the steps whenever something arrives; KeysReader and StreamReader can."""
        raise ArgumentError(
            f"register(): {self.reader} reads what is there and gets no events; register with KeysReader or"
            " StreamReader, or execute these steps with run()"
        )

    def run(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Execute the steps at once over what is there; returns the results."""
        raise NotImplementedError

    def _defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What arguments of `register` are in this session where the caller left them out."""
        if given.get("prefix") is not None and "regex" in given:
            raise checks.wrong(
                "register", "prefix", given["prefix"], "left out where regex is given: they are the same argument"
            )
        return {"regex": self._default}

    def _register(
        self,
        prefix: str | None,
        regex: str,
        mode: str,
        name: str | None,
        callback: Callback,
        arguments: StreamArguments | KeysArguments,
    ) -> str:
        argument, glob = ("regex", regex) if prefix is None else ("prefix", prefix)
        return current_host("register").register(
            RegisterRequest(
                reader=self.reader,
                pattern=checks.pattern("register", argument, glob),
                mode=checks.one_of("register", "mode", mode, Mode),
                name=checks.registration_name("register", "name", name),
                description=self._description,
                arguments=arguments,
                steps=self.steps,
                on_registered=callback,
            )
        )

    def _run(self, arg: str | None, **options: Any) -> list[Any]:
        pattern = checks.pattern("run", "arg", arg) if arg is not None else self._default
        return current_host("run").run(
            RunRequest(
                reader=self.reader, pattern=str(pattern), description=self._description, steps=self.steps, **options
            )
        )


class KeysBuilder(GearsBuilder):
    """`GearsBuilder('KeysReader')`: records `{'key', 'value', 'type', 'event'}`."""

    reader = Reader.KEYS

    @completed
    def register(
        self,
        regex: str = "*",
        mode: str = "async",
        eventTypes: Words = None,
        keyTypes: Words = None,
        OnRegistered: Callback = None,
        *,
        onRegistered: Callback = None,
        prefix: str | None = None,
        name: str | None = None,
        readValue: bool = True,
        snapshot: bool = False,
        partitions: int = 1,
        outboxLimit: int | None = None,
    ) -> str:
        """Run the steps whenever a key is touched; returns the registration's id.

        Args:
            regex: glob of key names, as in `SCAN MATCH`; `prefix` is the same. Default: the builder's `defaultArg`.
            mode: 'sync' (before the reply, in the server), 'async' (a worker), 'async_local' (a worker bound to the
                event's shard).
            eventTypes: events that trigger (`['set', 'hset', 'del', ...]`, any case); None: all.
            keyTypes: key types that trigger (`['string', 'hash', ...]`, any case); None: all.
            OnRegistered: called once in every process that will run the steps; `onRegistered` is the same.
            name: the registration's own name, for its id.
            readValue: read the key's value when the steps run; otherwise `record['value']` is None.
            snapshot: record the value with the event, atomically with the write.
            partitions: spread the events over that many streams, by key, so that as many executions run at the same
                time; 1 to 1024. The events of one key stay in order.
            outboxLimit: events of one such stream that may wait to be executed; further ones are dropped, and counted.
                None: no limit.

        Without the server module events come as notifications, and the last three have no effect.

        Raises:
            ArgumentError: an argument that is not one of these; the message says what is allowed.
        """
        arguments = KeysArguments(
            event_types=checks.words("register", "eventTypes", eventTypes),
            key_types=checks.words("register", "keyTypes", keyTypes),
            read_value=checks.flag("register", "readValue", readValue),
            snapshot=checks.flag("register", "snapshot", snapshot),
            partitions=checks.whole("register", "partitions", partitions, least=1, most=MOST_PARTITIONS),
            outbox_limit=(
                None if outboxLimit is None else checks.whole("register", "outboxLimit", outboxLimit, least=1)
            ),
        )
        return self._register(
            prefix, regex, mode, name, checks.callback("register", onRegistered, OnRegistered), arguments
        )

    @checked
    def run(self, arg: str | None = None, noScan: bool = False, readValue: bool = True) -> list[Any]:
        """Execute the steps over the keys that match `arg` (default: the builder's `defaultArg`).

        With `noScan` it is one key's exact name; without `readValue` the records hold no value.
        """
        return self._run(
            arg, no_scan=checks.flag("run", "noScan", noScan), read_value=checks.flag("run", "readValue", readValue)
        )


class KeysOnlyBuilder(GearsBuilder):
    """`GearsBuilder('KeysOnlyReader')`: the records are the keys' names."""

    reader = Reader.KEYS_ONLY

    @checked
    def run(self, arg: str | None = None) -> list[Any]:
        """Execute the steps over the names of the keys that match `arg` (default: the builder's `defaultArg`)."""
        return self._run(arg)


class StreamBuilder(GearsBuilder):
    """`GearsBuilder('StreamReader')`: records `{'streamId': id, field: value, ...}`."""

    reader = Reader.STREAM

    def _defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        defaults = super()._defaults(given)
        if current_host("register").dialect is Dialect.REDISGEARS_1_2:
            defaults |= {"trimStream": True, "onFailedPolicy": "continue"}
        return defaults

    @completed
    def register(
        self,
        regex: str = "*",
        mode: str = "async",
        batch: int = 1,
        duration: int = 0,
        onRegistered: Callback = None,
        onFailedPolicy: str = "retry",
        onFailedRetryInterval: float = 1,
        *,
        OnRegistered: Callback = None,
        prefix: str | None = None,
        name: str | None = None,
        trimStream: bool = False,
        fromId: str = "0-0",
        maxRetries: int | None = None,
    ) -> str:
        """Run the steps whenever entries arrive in a stream; returns the registration's id.

        Args:
            regex: glob of the streams' key names; `prefix` is the same. Default: the builder's `defaultArg`.
            mode: 'sync' (before the reply, in the server), 'async' (a worker), 'async_local' (a worker bound to the
                stream's shard).
            batch: records for one execution, 1 or more.
            duration: milliseconds after which a partial batch is executed; 0: it waits for the batch size.
            onRegistered: called once in every process that will run the steps; `OnRegistered` is the same.
            onFailedPolicy: 'retry', 'abort' or 'continue'.
            onFailedRetryInterval: seconds between two tries of a batch.
            name: the registration's own name, for its id.
            trimStream: delete entries when every consumer group of the stream has passed them.
            fromId: where a stream is read from the first time: an entry's id, or '$' for what is new.
            maxRetries: tries after the first before 'retry' becomes 'abort'; None: no limit.

        The dialect 'redisgears-1.2' has `trimStream=True` and `onFailedPolicy='continue'` where they are left out.

        Raises:
            ArgumentError: an argument that is not one of these; the message says what is allowed.
        """
        call = "register"
        arguments = StreamArguments(
            batch=checks.whole(call, "batch", batch, least=1, unit=" of records"),
            duration=checks.whole(call, "duration", duration, least=0, unit=" of milliseconds"),
            on_failed_policy=checks.one_of(call, "onFailedPolicy", onFailedPolicy, FailurePolicy),
            on_failed_retry_interval=checks.seconds(call, "onFailedRetryInterval", onFailedRetryInterval),
            max_retries=None if maxRetries is None else checks.whole(call, "maxRetries", maxRetries, least=0),
            trim_stream=checks.flag(call, "trimStream", trimStream),
            from_id=checks.entry_id(call, "fromId", fromId, newest=True),
        )
        return self._register(prefix, regex, mode, name, checks.callback(call, onRegistered, OnRegistered), arguments)

    @checked
    def run(self, arg: str | None = None, fromId: str = "0-0") -> list[Any]:
        """Execute the steps over the streams that match `arg` (default: the builder's `defaultArg`), from an id on."""
        return self._run(arg, from_id=checks.entry_id("run", "fromId", fromId, newest=False))


class PythonBuilder(GearsBuilder):
    """`GearsBuilder('PythonReader')`: the records are what a generator function yields."""

    reader = Reader.PYTHON

    @checked
    def run(self, generator_function: Callable[[], Any] | None = None) -> list[Any]:
        """Execute the steps over what `generator_function()` yields (default: the builder's `defaultArg`).

        On a cluster it is called once for each shard.
        """
        source = self._default if generator_function is None else generator_function
        if not callable(source):
            raise checks.wrong("run", "generator_function", source, "a function that yields (itself, not its result)")
        request = RunRequest(
            reader=self.reader, pattern="*", source=source, description=self._description, steps=self.steps
        )
        return current_host("run").run(request)


class ShardsBuilder(GearsBuilder):
    """`GearsBuilder('ShardsIDReader')`: one record for each shard, its id."""

    reader = Reader.SHARDS

    @checked
    def run(self) -> list[Any]:
        """Execute the steps over the ids of the shards, each on its own shard.

        An id has 40 characters: a cluster's is the primary's node id; that of a server that is no cluster is its
        `run_id`, another one after each start.
        """
        return self._run(None)


_BUILDERS: Mapping[str, type[GearsBuilder]] = {
    kind.reader.value: kind for kind in (KeysBuilder, KeysOnlyBuilder, StreamBuilder, PythonBuilder, ShardsBuilder)
}


def _builder_of(reader: str) -> type[GearsBuilder]:
    found = _BUILDERS.get(reader) if isinstance(reader, str) else None
    if found is not None:
        return found
    if reader in _NOT_YET:
        raise checks.wrong("GearsBuilder", "reader", reader, f"another one: it is not in this version; {_known()}")
    close = closest(reader, list(_BUILDERS)) if isinstance(reader, str) else None
    hint = f" (did you mean {close!r}?)" if close else ""
    raise checks.wrong("GearsBuilder", "reader", reader, f"a reader{hint}; {_known()}")


def _known() -> str:
    return f"the readers are {', '.join(repr(name) for name in _BUILDERS)}"


GB = GearsBuilder
