"""One execution: a batch through its pipeline, to the last effect."""

from __future__ import annotations

from typing import Any, Protocol

from geartrain.builder.requests import Mode
from geartrain.errors import PauseRegistration, StepError, message_of
from geartrain.pipeline.describe import user_trace
from geartrain.runtime import Context
from geartrain.wire import ClusterLink
from geartrain.worker.deployment import Deployment
from geartrain.worker.linked import LinkedClient


class Source(Protocol):
    """What kind of entries a partition has."""

    @property
    def stream(self) -> str | bytes | None:
        """The stream that users know the records to come from (`streamKey()`); None: they come from keys."""

    def records_ahead(self, entries: list[Any], deployment: Deployment, context: Context) -> list[Any] | None:
        """One record for each entry, where that is cheaper for many at once; else None.

        It may stop early: what is left out is to be asked for again, when these have been executed.
        """

    def records_now(self, entries: list[Any], deployment: Deployment, context: Context) -> list[Any]:
        """The records of one batch, read at this moment; entries that do not count are left out."""

    def position(self, entries: list[Any]) -> str:
        """The id of the batch's last entry."""

    def check(self, entries: list[Any], link: ClusterLink) -> None:
        """On a cluster, before a batch: raise ServerUnavailable where what comes before it is not done yet."""

    def slot(self, entries: list[Any]) -> int:
        """The slot of a cluster where the batch has happened: of the stream, or of the event's key."""

    def waiting(self, entries: list[Any], context: Context) -> LinkedClient | None:
        """The client that waits until the batch is executed; None: nobody does."""


def execute(
    source: Source, batch: list[Any], records: list[Any] | None, deployment: Deployment, context: Context
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
        begin(source, batch, deployment, context)
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


def begin(source: Source, batch: list[Any], deployment: Deployment, context: Context) -> None:
    """Prepare this thread for a batch."""
    context.begin(deployment.pipeline, deployment.tail_calls)
    if context.cluster is not None:
        context.cluster.home = source.slot(batch)
        context.cluster.bound = deployment.registration.mode is Mode.ASYNC_LOCAL
        source.check(batch, context.cluster)


def explain(error: BaseException) -> tuple[str, str]:
    """What a failed execution raised, as (message, the user's traceback)."""
    if isinstance(error, StepError):
        return str(error), error.trace
    return f"{type(error).__name__}: {message_of(error)}", user_trace(error)


def pauses_streams(error: BaseException) -> bool:
    """Whether a function asks by this error that its registration be paused, where it reads streams."""
    return isinstance(error, PauseRegistration) or isinstance(error.__cause__, PauseRegistration)
