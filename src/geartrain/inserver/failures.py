"""What a function raised, told to its users: never to the client whose write was fine."""

from __future__ import annotations

import time

import _geartrain
from geartrain.errors import StepError, message_of
from geartrain.pipeline import NO_RECORD, Pipeline
from geartrain.worker.execution import explain
from geartrain.worker.failures import FailureLog

LOG = FailureLog(time.monotonic)


def told(
    handle: _geartrain.Handle, error: BaseException, pipeline: Pipeline | None = None, record: object = None
) -> tuple[str, str]:
    """Message and traceback of an error.

    Watched: they come of the user's `__str__` and `__repr__`, which may do anything.

    Args:
        handle: the function that raised.
        error: what it raised.
        pipeline: which it came out of unexplained, or None.
        record: which the pipeline was called with, where it is for one.
    """
    try:
        return _geartrain.guarded(handle, 1, _explained, error, pipeline, record)
    except BaseException as other:  # noqa: BLE001 - a report must not fail, whatever the user's code does
        return f"{type(error).__name__}, which cannot be shown: {type(other).__name__}", ""


def _explained(error: BaseException, pipeline: Pipeline | None, record: object) -> tuple[str, str]:
    return explain(error if pipeline is None else pipeline.raised(error, NO_RECORD if record is None else record))


def loading_failed(handle: _geartrain.Handle, error: BaseException, doing: str) -> tuple[str, str]:
    """Message and traceback of what user code raised while it was loaded."""
    if isinstance(error, StepError):
        return str(error), error.trace
    _, trace = told(handle, error)
    return f"{doing} raised {type(error).__name__}: {message_of(error)}", trace
