"""`GearsBuilder('StreamReader')`."""

from __future__ import annotations

# The parameters' names are the specification's.
# ruff: noqa: N803
from collections.abc import Mapping
from typing import Any

from geartrain.builder import checks
from geartrain.builder.calls import completed
from geartrain.builder.gears import REGISTER_BY_POSITION, RUN_BY_POSITION, Callback, GearsBuilder, named_keys
from geartrain.builder.host import current_dialect
from geartrain.builder.requests import FailurePolicy, Reader, StreamArguments
from geartrain.config import Dialect


class StreamBuilder(GearsBuilder):
    """`GearsBuilder('StreamReader')`: records `{'streamId': id, field: value, ...}`."""

    reader = Reader.STREAM

    def _defaults(self, verb: str, given: Mapping[str, Any]) -> dict[str, Any]:
        defaults = super()._defaults(verb, given)
        if verb == "register" and current_dialect() is Dialect.REDISGEARS_1_2:
            defaults |= {"trimStream": True, "onFailedPolicy": "continue"}
        return defaults

    @completed(*REGISTER_BY_POSITION)
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
        convertToStr: bool = False,
        collect: bool = True,
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
            convertToStr: the results are their `str`. Default: False; in the dialect redisgears-1.2 True.
            collect: bring the results of all shards together; a batch is executed on one.

        The dialect redisgears-1.2 has `trimStream=True` and `onFailedPolicy='continue'` where they are left out; there
        `prefix` (`regex`) is what names begin with where it ends with `*`, otherwise one stream's name, and nothing
        else in it is special.

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
        return self._register(
            named_keys(prefix, regex),
            mode,
            name,
            checks.callback(call, onRegistered, OnRegistered),
            arguments,
            convertToStr=convertToStr,
            collect=collect,
        )

    @completed(*RUN_BY_POSITION)
    def run(
        self,
        arg: str | None = None,
        fromId: str = "0-0",
        *,
        mode: str = "async",
        convertToStr: bool = False,
        collect: bool = True,
    ) -> list[Any]:
        """Execute the steps over the streams that match `arg` (default: the builder's `defaultArg`), from an id on.

        `mode='async_local'` reads one shard only, the one where the caller is; `convertToStr` makes the results their
        `str` (default: False; in the dialect redisgears-1.2 True); without `collect` only that shard's results are
        returned.
        """
        return self._run(
            arg,
            mode,
            {"convertToStr": convertToStr, "collect": collect},
            from_id=checks.entry_id("run", "fromId", fromId, newest=False),
        )
