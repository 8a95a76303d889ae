"""`compile_pipeline`: steps to one callable over a batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import CodeType, TracebackType
from typing import Any

from geartrain.builder.functions import is_async
from geartrain.builder.steps import Kind, Step
from geartrain.config import Dialect
from geartrain.errors import PauseRegistration, ServerUnavailable, StepError
from geartrain.pipeline.collected import Collected, RecordError
from geartrain.pipeline.concurrent import RecordFailed
from geartrain.pipeline.context import NO_RECORD, Context
from geartrain.pipeline.describe import PIPELINE_FILE, record_text, step_text, user_trace
from geartrain.pipeline.generate import HELPERS, NAME, generate, watched_helpers
from geartrain.pipeline.mentions import marked_steps
from geartrain.pipeline.progress import Progress
from geartrain.pipeline.source import Place
from geartrain.pipeline.tailcalls import first_placed, is_closed, own_functions, tail_calls


class Pipeline:
    """Steps, compiled: call it with records and a context.

    It keeps nothing between two calls and may be called by several threads at the same time, each with its own
    context.

    Attributes:
        steps: the steps it was made from.
        collects: a record that fails costs itself alone (the dialect redisgears-1.2): `collect` tells the errors.
        tail_calls: the call sites of `targets` whose reply nobody can notice (see `geartrain.pipeline.tail_calls`).
        closed: its steps can notice nothing but their records (`geartrain.pipeline.tailcalls.is_closed`).
        text: the generated Python, for whoever wants to see it.
        function: the generated function, called as the pipeline is; what it raises is for `raised`. For callers to
            whom the 60 ns of `__call__` matter. Where the pipeline collects, it is not for others.
        lone: what `function` does no more than call with its one record, for callers to whom that matters too; or None.
    """

    def __init__(
        self, steps: tuple[Step, ...], text: str, function: Callable[..., list[Any]], places: Mapping[int, Place],
        tail_calls: frozenset[tuple[CodeType, int]], *, collects: bool = False,
        lone: Callable[[Any], object] | None = None, closed: bool = False,
    ) -> None:  # fmt: skip
        self.steps = steps
        self.collects = collects
        self.tail_calls = tail_calls
        self.closed = closed
        self.text = text
        self.function = function
        self.lone = lone
        self._code = function.__code__
        self._places = places

    def __call__(self, records: Iterable[Any], context: Context) -> list[Any]:
        """Run the steps over the records; returns the results, a new list (empty where they are discarded).

        An iterable is read as the steps need it, not ahead of them, up to the first step that takes every record.

        Raises:
            StepError: a step raised an Exception, or GeneratorExit. Where the pipeline collects, it is the first of
                them, raised when all other records have gone through.
            ServerUnavailable: a step raised that: it is no fault of the step and passes as it is, like whatever is no
                Exception (KeyboardInterrupt, ...) and what the iterable itself raises.
        """
        if self.collects:
            return self._first_raised(records, context)
        try:
            return self.function(records, context)
        except ServerUnavailable:
            raise
        except (Exception, GeneratorExit) as error:
            failure = self._failure(error)
            if failure is None:
                raise
            raise failure from failure.__cause__

    def collect(self, records: Iterable[Any], context: Context) -> Collected:
        """Run the steps over the records, each of which may fail by itself; for pipelines that collect.

        The effects that were put off are not in it: `geartrain.runtime.collect` waits for them too.

        Raises:
            ServerUnavailable, or whatever is no Exception: as `__call__`.
        """
        errors: list[RecordError] = []
        return Collected(self.gather(records, context, errors), errors)

    def gather(self, records: Iterable[Any], context: Context, errors: list[RecordError]) -> list[Any]:
        """As `collect`; adds the errors to a list, and returns the results alone."""
        return self._guarded(records, context, lambda error: errors.append(RecordError.of(error)))

    def raised(self, error: BaseException, record: object = NO_RECORD) -> BaseException:
        """What `__call__` would raise where `function` raised `error`, or `lone`, which was called with that record."""
        if isinstance(error, ServerUnavailable) or not isinstance(error, Exception | GeneratorExit):
            return error
        if self.lone is not None and record is not NO_RECORD and self._own_frame(error.__traceback__) is None:
            return self.step_error(1, record, error)
        return self._failure(error) or error

    def describe(self, step_number: int) -> str:
        """A step as a user reads it, for example `step 2, foreach(<lambda> at shop.py:14)`; 1 is the first."""
        return step_text(step_number, self.steps[step_number - 1])

    def step_error(self, step_number: int, record: object, cause: BaseException) -> StepError:
        """The error for a step that raised; `record` is `NO_RECORD` where the step had no single one."""
        shown = None if record is NO_RECORD else record_text(record)
        error = StepError(self.describe(step_number), shown, cause, user_trace(cause))
        error._pipeline = self  # type: ignore[attr-defined]  # for `_failure`
        return error

    def _first_raised(self, records: Iterable[Any], context: Context) -> list[Any]:
        errors: list[BaseException] = []
        results = self._guarded(records, context, errors.append)
        if errors:
            # One that pauses the registration is not to be missed among others.
            told = next((error for error in errors if isinstance(error.__cause__, PauseRegistration)), errors[0])
            raise told from told.__cause__
        return results

    def _guarded(self, records: Iterable[Any], context: Context, take: Callable[[BaseException], object]) -> list[Any]:
        """Run a function that tells of each failure and goes on."""

        def failed(error: BaseException, position: int | None = None) -> None:
            if isinstance(error, ServerUnavailable):
                raise error
            if self.tail_calls and position is not None:
                context.disown(position)
            take(self._failure(error) or error)

        return self.function(records, context, failed)

    def _failure(self, error: BaseException) -> StepError | None:
        """The step and record of an error, from the line that the generated function was at.

        Looked up only now, so that nothing is kept up to date while all goes well. None: it was at no step's line, or
        it is this pipeline's own StepError (a command that an earlier record put off was refused when this step sent
        it), which names its step and record already.
        """
        trace = self._own_frame(error.__traceback__)
        place = self._places.get(trace.tb_lineno) if trace is not None else None
        if trace is None or place is None or getattr(error, "_pipeline", None) is self:
            return None
        if isinstance(error, RecordFailed):
            return self.step_error(place.number, error.record, error.cause)
        record = NO_RECORD if place.record is None else trace.tb_frame.f_locals[place.record]
        return self.step_error(place.number, record, error)

    def _own_frame(self, trace: TracebackType | None) -> TracebackType | None:
        while trace is not None and trace.tb_frame.f_code is not self._code:
            trace = trace.tb_next
        return trace


def compile_pipeline(
    steps: Sequence[Step],
    *,
    discard: bool = False,
    targets: Collection[object] = (),
    single: bool = False,
    dialect: Dialect = Dialect.GEARTRAIN,
    convert: bool = False,
    collects: bool = True,
    progress: Progress | None = None,
) -> Pipeline:
    """Compile steps to one callable over a batch.

    Args:
        steps: the pipeline, as `GearsBuilder.steps` gives it.
        discard: keep no results; the pipeline then returns an empty list.
        targets: functions (such as `execute`) whose calls with an unnoticed reply are looked for (`tail_calls`). A step
            that mentions one, or may reach one, keeps `context.at` up to date before each call.
        single: the pipeline's `function` is called with one record instead of several, and returns None; the pipeline
            itself is not called. Some 0.1 us less for each record.
        dialect: what the steps mean. In redisgears-1.2 the pipeline collects errors (unless `single`), a function of a
            step may return what is awaited, and some steps differ (`geartrain.pipeline.oldbarriers`).
        convert: a last step makes the results their `str`.
        collects: False: also in redisgears-1.2 what a step raises ends the pipeline, and is raised by it.
        progress: where it is told; None: nobody asks.
    """
    steps = (*steps, Step(Kind.MAP, (str,))) if convert else tuple(steps)
    old = dialect is Dialect.REDISGEARS_1_2
    collects = old and collects and not single
    placed = first_placed(steps) if collects and not discard else None
    since = placed if collects and not discard else 1
    own = own_functions(steps, targets, since=since)
    marked = marked_steps(steps, targets)
    text, source = generate(
        own, discard=discard, marked=marked, single=single, old=old, guarded=collects, placed=placed,
        watched=progress is not None,
    )  # fmt: skip
    helpers = HELPERS if progress is None else watched_helpers(progress)
    namespace = {**helpers, **source.bindings}
    exec(compile(text, PIPELINE_FILE, "exec"), namespace)  # noqa: S102  # our own text: names and numbers only
    calls = tail_calls(own, targets, since=since)
    lone = _lone(steps) if single and not old and not marked else None
    return Pipeline(
        steps, text, namespace[NAME], source.places, calls,
        collects=collects, lone=lone, closed=is_closed(own, calls),
    )  # fmt: skip


def _lone(steps: Sequence[Step]) -> Callable[[Any], object] | None:
    """The function of the only step, where all that is to be done is to call it with a record."""
    if len(steps) != 1 or steps[0].kind not in (Kind.MAP, Kind.FOREACH) or is_async(steps[0].functions[0]):
        return None
    return steps[0].functions[0]
