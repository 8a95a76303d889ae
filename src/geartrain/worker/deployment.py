"""A registration as it runs in this process: its loaded code, compiled, and whether its `onRegistered` has been called.

Code is loaded in a thread of its own, because it is the user's: an import or an `onRegistered` that takes a minute
must not cost the worker its leases. The registrations of one session version share one load, and so their globals.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field

from geartrain.builder.requests import Reader, StreamArguments
from geartrain.config import Dialect
from geartrain.errors import GeartrainError, ServerUnavailable, StepError, message_of
from geartrain.pipeline import Pipeline, compile_pipeline
from geartrain.pipeline.describe import user_trace
from geartrain.readers.entries import before
from geartrain.registry import Code, Registration, Status, Store, open_parcel
from geartrain.registry.executions import PlanStep, plan_of
from geartrain.runtime import EXECUTES, CallSites, Context, call_sites, enter
from geartrain.wire import Endpoint, access
from geartrain.worker.leases import Beginning
from geartrain.worker.policy import Policy

from geartrain.builder.requests import FailurePolicy  # isort: skip


@dataclass(slots=True)
class Deployment:
    """A registration, ready to run.

    Attributes:
        registration: what it is.
        pipeline: its steps, compiled.
        tail_calls: where its steps call `execute` and nobody can notice the reply.
        batch: records for one execution.
        duration: seconds after which a partial batch is executed; 0: never.
        policy: what a failure means.
        trim: whether entries are deleted once every group has passed them.
        beginning: where a stream is read from the first time.
        keeps: whether its executions are kept, with their results.
        plan: its steps, as they are shown with its executions.
        single: the same for one record (`pipeline.compile_pipeline`), where batches are of one and nobody sees results.
        aborted: whether its policy, or its function, has stopped it (the registry will say so too).
        ending: the status that it has then.
        ended: whether the registry says so: from then on it is active there again only where somebody resumes it.
    """

    registration: Registration
    pipeline: Pipeline
    tail_calls: CallSites
    batch: int
    duration: float
    policy: Policy
    trim: bool
    beginning: Beginning
    keeps: bool = field(default=False)
    plan: tuple[PlanStep, ...] = field(default=())
    single: Pipeline | None = field(default=None)
    aborted: bool = field(default=False)
    ending: Status = field(default=Status.ABORTED)
    ended: bool = field(default=False)

    @property
    def dialect(self) -> Dialect:
        """Its record format."""
        return self.registration.dialect


def deploy(
    registration: Registration, code: Code, targets: Collection[object] = EXECUTES, *, keeps: bool = False
) -> Deployment:
    """Compile a registration's code.

    Args:
        registration: what it is.
        code: its steps.
        targets: what sends commands that may wait (in the server, nothing).
        keeps: its executions are to be kept, with their results.
    """
    discard = not keeps and registration.reader is not Reader.COMMAND
    pipeline = compile_pipeline(code.steps, discard=discard, targets=targets, dialect=registration.dialect)
    tail_calls = call_sites(pipeline.tail_calls)
    plan = plan_of(code.steps) if keeps else ()
    arguments = registration.arguments
    if isinstance(arguments, StreamArguments):
        single = None
        if arguments.batch == 1 and discard and not pipeline.collects:
            single = compile_pipeline(code.steps, discard=True, single=True, targets=targets)
            tail_calls = call_sites(pipeline.tail_calls | single.tail_calls)
        return Deployment(
            registration=registration,
            pipeline=pipeline,
            tail_calls=tail_calls,
            batch=arguments.batch,
            duration=arguments.duration / 1000,
            policy=Policy(arguments.on_failed_policy, arguments.on_failed_retry_interval, arguments.max_retries),
            trim=arguments.trim_stream,
            beginning=Beginning(before(arguments.from_id), before(f"{registration.since_ms}-0")),
            keeps=keeps,
            plan=plan,
            single=single,
        )
    return Deployment(
        registration=registration,
        pipeline=pipeline,
        tail_calls=tail_calls,
        batch=1,
        duration=0,
        policy=Policy(FailurePolicy.CONTINUE, 0, None),
        # An outbox is read by nobody else.
        trim=True,
        beginning=Beginning("0-0", "0-0"),
        keeps=keeps,
        plan=plan,
    )


@dataclass(frozen=True, slots=True)
class Failed:
    """A registration that cannot run in this process, and why (as users read it)."""

    registration: Registration
    message: str
    trace: str | None
    final: bool
    """Whether trying again in this process is of no use."""


class Loader:
    """Loads the code of one session version and deploys its registrations, in a thread.

    Args:
        endpoint: where the registry is.
        registrations: those of one session that are to run, of one code version.

    Attributes:
        ready: deployments, once `done`.
        failed: registrations that cannot run, once `done`. Neither holds anything where the session was submitted again
            meanwhile: the code that is there belongs to other registrations, which are loaded by themselves.
    """

    def __init__(self, endpoint: Endpoint, registrations: list[Registration]) -> None:
        self.ready: list[Deployment] = []
        self.failed: list[Failed] = []
        self._endpoint = endpoint
        self._registrations = registrations
        self._thread = threading.Thread(target=self._run, name="geartrain-loader", daemon=True)
        self._finished = threading.Event()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether `ready` and `failed` are final."""
        return self._finished.is_set()

    def _run(self) -> None:
        context = Context(self._endpoint, "geartrain:loader")
        enter(context)
        try:
            codes = self._codes()
            if codes is not None:
                for registration in self._registrations:
                    self._deploy(registration, codes[registration.position], context)
        except GeartrainError as error:
            final = not isinstance(error, ConnectionError)
            self.failed = [Failed(item, str(error), None, final) for item in self._registrations]
        except BaseException as error:  # noqa: BLE001 - importing the user's modules may raise anything, SystemExit too
            message = f"its code cannot be loaded here: {type(error).__name__}: {message_of(error)}"
            self.failed = [Failed(item, message, user_trace(error), final=True) for item in self._registrations]
        finally:
            context.close()
            self._finished.set()

    def _codes(self) -> tuple[Code, ...] | None:
        """The code of the session; None where it is not that of these registrations any more."""
        with access(self._endpoint) as link:
            parcel = Store(link).parcel(self._registrations[0].session)
        return open_parcel(parcel) if parcel.version == self._registrations[0].code_version else None

    def _deploy(self, registration: Registration, code: Code, context: Context) -> None:
        try:
            deployment = deploy(registration, code, keeps=registration.dialect is Dialect.REDISGEARS_1_2)
            if code.on_registered is not None:
                code.on_registered()
            context.flush()
        except ServerUnavailable as error:
            self.failed.append(Failed(registration, str(error), None, final=False))
        except BaseException as error:  # noqa: BLE001 - the user's code: whatever it raised is shown, SystemExit too
            message = f"onRegistered raised {type(error).__name__}: {message_of(error)}"
            self.failed.append(Failed(registration, message, user_trace(error), final=False))
        else:
            self.ready.append(deployment)


def is_stream(registration: Registration) -> bool:
    """Whether its records come from streams."""
    return registration.reader is Reader.STREAM


__all__ = ["Deployment", "Failed", "Loader", "StepError", "deploy", "is_stream"]
