"""One execution: a batch through its pipeline, to the last effect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from geartrain.builder.requests import Mode
from geartrain.errors import Aborted, StepError, message_of
from geartrain.pipeline import RecordError
from geartrain.pipeline.describe import user_trace
from geartrain.readers.entries import Entries
from geartrain.runtime import Context
from geartrain.wire import ClusterLink
from geartrain.worker.deployment import Deployment
from geartrain.worker.linked import LinkedClient


class Source(Protocol):
    """What kind of entries a partition has.

    Attributes:
        uniform: all are alike: of one slot, no client waits for them, and nothing has to come before them.
        at_once: how many are taken from the buffer together, where batches are smaller.
    """

    uniform: bool
    at_once: int

    @property
    def stream(self) -> str | bytes | None:
        """The stream that users know the records to come from (`streamKey()`); None: they come from keys."""

    def records_ahead(self, entries: Entries, deployment: Deployment, context: Context) -> list[Any] | None:
        """One record for each entry, where that is cheaper for many at once; else None.

        It may stop early: what is left out is to be asked for again, when these have been executed.
        """

    def records_now(self, entries: Entries, deployment: Deployment, context: Context) -> list[Any]:
        """The records of one batch, read at this moment; entries that do not count are left out."""

    def position(self, entries: Entries) -> str:
        """The id of the batch's last entry."""

    def check(self, entries: Entries, link: ClusterLink) -> None:
        """On a cluster, before a batch: raise ServerUnavailable where what comes before it is not done yet."""

    def slot(self, entries: Entries) -> int:
        """The slot of a cluster where the batch has happened: of the stream, or of the event's key."""

    def waiting(self, entries: Entries, context: Context) -> LinkedClient | None:
        """The client that waits until the batch is executed; None: nobody does."""


def execute(
    source: Source, batch: Entries, records: list[Any] | None, deployment: Deployment, context: Context
) -> tuple[int, BaseException | None]:
    """Run a batch; returns how many records it had, and what it raised.

    Args:
        source: makes the records, where they are not made yet.
        batch: entries.
        records: their records, or None: to be made now.
        deployment: the code.
        context: of this thread.
    """
    count = 0
    try:
        context.begin(deployment.pipeline, deployment.tail_calls)
        bind(source, batch, deployment, context)
        if records is None:
            records = source.records_now(batch, deployment, context)
        count = len(records)
        if count:
            try:
                deployment.pipeline(records, context)
            finally:
                # Also where a step raised: what earlier records of the batch did must have happened.
                context.flush()
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, SystemExit too; the policy decides
        return count, error
    return count, None


def bind(source: Source, batch: Entries, deployment: Deployment, context: Context) -> None:
    """On a cluster, let what a batch executes begin on the batch's own shard."""
    if context.cluster is not None:
        context.bind(source.slot(batch), bound=deployment.registration.mode is Mode.ASYNC_LOCAL)
        source.check(batch, context.cluster)


class RecordsFailed(Exception):
    """Carries the errors of records, at least one, from an execution of redisgears-1.2 to the policy."""

    def __init__(self, errors: Sequence[RecordError]) -> None:
        self.errors = errors
        super().__init__(f"{len(errors)} records failed")


def errors_of(error: BaseException | None) -> Sequence[RecordError]:
    """What an execution is shown with that raised this: the errors of its records, or the one that ended it."""
    if error is None:
        return ()
    return error.errors if isinstance(error, RecordsFailed) else (RecordError.of(error),)


def explain(error: BaseException) -> tuple[str, str]:
    """What a failed execution raised, as (message, the user's traceback)."""
    if isinstance(error, RecordsFailed):
        first, more = error.errors[0], len(error.errors) - 1
        return first.message + (f" (and {more} more errors)" if more else ""), first.trace
    if isinstance(error, Aborted):
        return str(error), ""
    if isinstance(error, StepError):
        return str(error), error.trace
    return f"{type(error).__name__}: {message_of(error)}", user_trace(error)


def pauses_streams(error: BaseException) -> bool:
    """Whether a function asks by this error that its registration be paused, where it reads streams."""
    return any(item.pauses for item in errors_of(error))
