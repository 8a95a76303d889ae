"""What `register()` and `run()` of a script reach: registrations are collected, runs are executed at once."""

from __future__ import annotations

from typing import Any

from geartrain.builder import Mode, RegisterRequest, RunRequest
from geartrain.client.outcome import Outcome, RunResult
from geartrain.config import Dialect
from geartrain.errors import CommandError, NeedsModule
from geartrain.pipeline import compile_pipeline
from geartrain.readers import records
from geartrain.registry import hooks
from geartrain.registry.records import id_for
from geartrain.runtime import EXECUTES, Context, call_sites, enter
from geartrain.wire import Endpoint, Link, access


class SessionHost:
    """The host of one session. For one thread.

    Args:
        session: the session's name.
        endpoint: the server that runs read from and execute on.
        dialect: the record format.

    Attributes:
        requests: the registrations so far, by id.
        outcome: what the script did so far.
    """

    def __init__(self, session: str, endpoint: Endpoint, dialect: Dialect) -> None:
        self.dialect = dialect
        self.requests: dict[str, RegisterRequest] = {}
        self.outcome = Outcome(session=session)
        self._endpoint = endpoint

    def register(self, request: RegisterRequest) -> str:
        """Keep a registration for the submission; returns its id.

        Raises:
            NeedsModule: it asks for what only the server module can do, and the server has none, or one that cannot.
        """
        if request.mode is Mode.SYNC:
            self._need_sync(request)
        registration = id_for(self.outcome.session, request, self.requests)
        self.requests[registration] = request
        self.outcome.registered.append(registration)
        return registration

    def _need_sync(self, request: RegisterRequest) -> None:
        """Refuse `mode='sync'` where nobody would run it."""
        with access(self._endpoint, "geartrain:client") as link:
            shards = link.shards
            reasons = [(shard, _why_no_sync(link.on(shard))) for shard in shards]
        named = (f"the shard {shard}: {why}" if len(shards) > 1 else why for shard, why in reasons if why is not None)
        reason = next(named, None)
        if reason is not None:
            raise NeedsModule(
                f"register({request.pattern!r}): mode='sync' runs inside of the server and needs the server module;"
                f" {reason}. mode='async' runs in a worker, right after the write, without it"
            )

    def run(self, request: RunRequest) -> list[Any]:
        """Execute a pipeline at once; returns its results when all its effects are done.

        Raises:
            StepError: a step raised.
            CommandError: the server refuses to read.
            ServerUnavailable: the connection was lost.
        """
        pipeline = compile_pipeline(request.steps, targets=EXECUTES)
        # Connections of its own: the script's may hold commands that are sent later, and a step may run() too.
        context = Context(self._endpoint, "geartrain:run")
        before = enter(context)
        try:
            with access(self._endpoint, "geartrain:run:reader") as link:
                context.begin(pipeline, call_sites(pipeline.tail_calls))
                results = pipeline(records(request, link, self.dialect), context)
                context.flush()
        finally:
            enter(before)
            context.close()
        self.outcome.runs.append(
            RunResult(reader=request.reader, pattern=request.pattern, description=request.description, results=results)
        )
        return results


def _why_no_sync(link: Link) -> str | None:
    """Why this server runs no sync registrations; None: it does."""
    try:
        module = hooks.read(link)
    except CommandError as error:
        return hooks.forbidden(error) if hooks.is_forbidden(error) else str(error)
    if module is None:
        return f"this server has none loaded: {hooks.HOW}"
    return None if module.sync is None else f"here it cannot run it: {module.sync}"
