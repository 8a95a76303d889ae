"""What `register()` and `run()` of a script reach.

Registrations are collected. `run()` executes at once; in the dialect redisgears-1.2 one is collected too, and executed
when the script has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from geartrain.builder import KeysArguments, Mode, RegisterRequest, RunRequest
from geartrain.builder.requests import CommandArguments
from geartrain.client.distributed import Distributed
from geartrain.client.needs import Needs, lacking_in_server
from geartrain.client.outcome import Outcome, RunResult
from geartrain.config import Dialect
from geartrain.environments import refuse_sync
from geartrain.errors import ArgumentError, CommandError, NeedsModule
from geartrain.registry import hooks
from geartrain.registry.records import id_for
from geartrain.registry.sessions import Terms
from geartrain.registry.submission import registered
from geartrain.registry.triggers import refuse_taken, trigger_of
from geartrain.wire import Endpoint, Link, access


class SessionHost:
    """The host of one session. For one thread.

    Args:
        session: the session's name.
        endpoint: the server that runs read from and execute on.
        dialect: the record format.
        modules: gives the modules that the script is made of, which workers may lack.
        on_run: called before each `run()` is executed.
        needs: packages of the session; None: it needs none.
        terms: what becomes of sessions that are there; None: that of the same name is upgraded.

    Attributes:
        requests: the registrations so far, by id; in redisgears-1.2 they get others when they are submitted.
        outcome: what the script did so far.
        traceback: errors of single records are told with their tracebacks.
        collected: a `run()` that is to be executed when the script has ended.
    """

    def __init__(
        self,
        session: str,
        endpoint: Endpoint,
        dialect: Dialect,
        modules: Callable[[], Iterable[ModuleType]] = tuple,
        on_run: Callable[[RunRequest], None] | None = None,
        needs: Needs | None = None,
        terms: Terms | None = None,
    ) -> None:
        self.dialect = dialect
        self.traceback = True
        self._needs = needs or Needs()
        self._sessions = (terms or Terms()).sessions(session)
        self.collected: RunRequest | None = None
        self._on_run = on_run
        self.requests: dict[str, RegisterRequest] = {}
        self.outcome = Outcome(session=session)
        self._endpoint = endpoint
        self._modules = modules

    def register(self, request: RegisterRequest) -> str:
        """Keep a registration for the submission; returns its id.

        Raises:
            NeedsModule: it asks for what only the server module can do, and the server has none, or one that cannot.
            ArgumentError: it names a command that cannot be hooked, or its trigger is that of another registration.
            RequirementsError: `mode='sync'`, and the server's Python lacks what the session needs.
        """
        if trigger_of(request) is not None:
            self._need_trigger(request)
        if request.mode is Mode.SYNC:
            self._need_sync(request)
        if names_commands(request):
            self._need_hookable(request)
        registration = id_for(self.outcome.session, request, self.requests)
        self.requests[registration] = request
        self.outcome.registered.append(registration)
        return registration

    def _need_hookable(self, request: RegisterRequest) -> None:
        """Refuse a command that the server cannot hook; all shards have the same commands."""
        with access(self._endpoint, "geartrain:client") as link:
            try:
                hooks.check(link.on(link.shards[0]), request)
            except CommandError as error:
                # Whether there is a module, and may be asked, is looked at elsewhere.
                if not (error.is_unknown or hooks.is_forbidden(error)):
                    raise ArgumentError(f"register({request.pattern!r}): {error.reply.removeprefix('ERR ')}") from None

    def _need_trigger(self, request: RegisterRequest) -> None:
        """Refuse a trigger that is taken; looked at again when the session is submitted."""
        with access(self._endpoint, "geartrain:client") as link:
            refuse_taken([*self.requests.values(), request], self._sessions, registered(link))

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
        if self._needs.requirements:
            self._need_installed(request)

    def _need_installed(self, request: RegisterRequest) -> None:
        """Refuse `mode='sync'` where the server lacks packages; where nobody can tell from here, it refuses itself."""
        with access(self._endpoint, "geartrain:client") as link:
            lacking = lacking_in_server(link, self._needs.requirements)
        if lacking:
            raise refuse_sync(request.pattern, lacking)
        if lacking is None:
            self.outcome.warnings.append(
                f"register({request.pattern!r}): mode='sync' runs in the server's own Python; whether"
                f" {', '.join(self._needs.requirements)} is installed there cannot be told from here. `geartrain show`"
                " says so where it is not"
            )

    def run(self, request: RunRequest) -> list[Any]:
        """Execute a pipeline at once; returns its results when all its effects are done.

        On a cluster each shard's records are worked on by a worker, or by a thread of this process; on one server with
        many keys, each worker has a portion of them. In the dialect redisgears-1.2 it is only collected, and [] is
        returned.

        Raises:
            StepError: a step raised.
            CommandError: the server refuses to read.
            GeartrainError: two workers ended while they did the same part of it.
            ServerUnavailable: the connection was lost.
            ArgumentError: in the dialect redisgears-1.2, the script has called it before.
        """
        if self.dialect is not Dialect.REDISGEARS_1_2:
            return self._execute(request)
        if self.collected is not None:
            raise ArgumentError("Can not run more then 1 executions in a single script")
        self.collected = request
        return []

    def finish(self) -> None:
        """Execute what was collected; raises as `run`. What a step raises is among the outcome's errors."""
        if self.collected is not None:
            self._execute(self.collected)

    def _execute(self, request: RunRequest) -> list[Any]:
        if self._on_run is not None:
            self._on_run(request)
        distributed = Distributed(self._endpoint, self.dialect, self._modules, self._needs.environment)
        results, errors = distributed.run(request)
        self.outcome.errors += [error.text(traceback=self.traceback) for error in errors]
        self.outcome.runs.append(
            RunResult(reader=request.reader, pattern=request.pattern, description=request.description, results=results)
        )
        return results


def names_commands(request: RegisterRequest) -> bool:
    """Whether a registration is about commands that the server module has to hook."""
    arguments = request.arguments
    if isinstance(arguments, CommandArguments):
        return arguments.hook is not None
    return isinstance(arguments, KeysArguments) and bool(arguments.commands)


def _why_no_sync(link: Link) -> str | None:
    """Why this server runs no sync registrations; None: it does."""
    try:
        module = hooks.read(link)
    except CommandError as error:
        return hooks.forbidden(error) if hooks.is_forbidden(error) else str(error)
    if module is None:
        return f"this server has none loaded: {hooks.HOW}"
    return None if module.sync is None else f"here it cannot run it: {module.sync}"
