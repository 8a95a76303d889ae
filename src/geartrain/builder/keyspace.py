"""`GearsBuilder('KeysReader')` and `GearsBuilder('KeysOnlyReader')`."""

from __future__ import annotations

# The parameters' names are the specification's.
# ruff: noqa: N803
from collections.abc import Callable, Sequence
from typing import Any

from geartrain.builder import checks
from geartrain.builder.calls import completed
from geartrain.builder.gears import (
    REGISTER_BY_POSITION,
    RUN_BY_POSITION,
    Callback,
    GearsBuilder,
    Words,
    named_keys,
)
from geartrain.builder.requests import MOST_PARTITIONS, KeysArguments, Reader


class KeysBuilder(GearsBuilder):
    """`GearsBuilder('KeysReader')`: records `{'key', 'value', 'type', 'event'}`."""

    reader = Reader.KEYS

    @completed(*REGISTER_BY_POSITION)
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
        commands: Words = None,
        convertToStr: bool = False,
        collect: bool = True,
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
            commands: names of commands, any case: only the events of these trigger, and the client that sent one waits
                for the steps, which may change its reply. None: the events of all; nobody waits.
            convertToStr: the results are their `str`. Default: False; in the dialect redisgears-1.2 True.
            collect: bring the results of all shards together; an event is executed on one.

        Without the server module events come as notifications, and `snapshot`, `partitions`, `outboxLimit` and
        `commands` have no effect.

        In the dialect redisgears-1.2 `prefix` (`regex`) is what names begin with where it ends with `*`, otherwise one
        key's name; nothing else in it is special.

        Raises:
            ArgumentError: an argument that is not one of these; the message says what is allowed.
        """
        arguments = KeysArguments(
            event_types=checks.words("register", "eventTypes", eventTypes),
            key_types=checks.words("register", "keyTypes", keyTypes),
            commands=checks.words("register", "commands", commands),
            read_value=checks.flag("register", "readValue", readValue),
            snapshot=checks.flag("register", "snapshot", snapshot),
            partitions=checks.whole("register", "partitions", partitions, least=1, most=MOST_PARTITIONS),
            outbox_limit=(
                None if outboxLimit is None else checks.whole("register", "outboxLimit", outboxLimit, least=1)
            ),
        )
        return self._register(
            named_keys(prefix, regex),
            mode,
            name,
            checks.callback("register", onRegistered, OnRegistered),
            arguments,
            convertToStr=convertToStr,
            collect=collect,
        )

    @completed(*RUN_BY_POSITION)
    def run(
        self,
        arg: str | None = None,
        noScan: bool = False,
        readValue: bool = True,
        *,
        mode: str = "async",
        convertToStr: bool = False,
        collect: bool = True,
    ) -> list[Any]:
        """Execute the steps over the keys that match `arg` (default: the builder's `defaultArg`).

        With `noScan` it is one key's exact name; without `readValue` the records hold no value. `mode='async_local'`
        reads one shard only, the one where the caller is; `convertToStr` makes the results their `str` (default: False;
        in the dialect redisgears-1.2 True); without `collect` only that shard's results are returned.
        """
        return self._run(
            arg,
            mode,
            {"convertToStr": convertToStr, "collect": collect},
            no_scan=checks.flag("run", "noScan", noScan),
            read_value=checks.flag("run", "readValue", readValue),
        )


class KeysOnlyBuilder(GearsBuilder):
    """`GearsBuilder('KeysOnlyReader')`: the records are the keys' names."""

    reader = Reader.KEYS_ONLY

    def _positions(self, values: Sequence[Any], usual: Sequence[str]) -> Sequence[str]:
        """RedisGears documents `run(pattern, count, noScan, patternGenerator)` too: a count tells which is meant."""
        has_count = len(values) > 1 and isinstance(values[1], int) and not isinstance(values[1], bool)
        return ("arg", "count", "noScan", "patternGenerator") if has_count else usual

    @completed(*RUN_BY_POSITION)
    def run(
        self,
        arg: str | None = None,
        *,
        count: int | None = None,
        noScan: bool = False,
        patternGenerator: Callable[[], tuple[str, bool]] | None = None,
        mode: str = "async",
        convertToStr: bool = False,
        collect: bool = True,
    ) -> list[Any]:
        """Execute the steps over the names of the keys that match `arg` (default: the builder's `defaultArg`).

        Args:
            arg: a glob of key names.
            count: keys that the server looks at for one SCAN. None: as many as usual.
            noScan: `arg` is one key's exact name.
            patternGenerator: called on each shard; gives that shard's (pattern, noScan), whatever those above are.
            mode: 'async_local' reads one shard only, the one where the caller is.
            convertToStr: the results are their `str`. Default: False; in the dialect redisgears-1.2 True.
            collect: bring the results of all shards together; otherwise only that shard's are returned.
        """
        generator = patternGenerator
        return self._run(
            arg,
            mode,
            {"convertToStr": convertToStr, "collect": collect},
            count=None if count is None else checks.whole("run", "count", count, least=1),
            no_scan=checks.flag("run", "noScan", noScan),
            pattern_generator=None if generator is None else checks.function("run", "patternGenerator", generator),
        )
