"""An error on its way back from a worker: what it says is kept, and what it is, as far as that can be pickled."""

from __future__ import annotations

import pickle
from typing import Any, TypeAlias, cast

from geartrain.errors import GeartrainError, StepError, message_of
from geartrain.registry.code import dumps

_Form: TypeAlias = tuple[str, str, bytes | None]
"""Name, message, the pickled error or None."""


def packed(error: BaseException) -> bytes:
    """An error, pickled; never fails."""
    if isinstance(error, StepError):
        cause = error.__cause__ or error
        return dumps((_form(cause), (error.step, error.record, error.trace)))
    return dumps((_form(error), None))


def unpacked(blob: bytes) -> BaseException:
    """The error; one that cannot be made here has the same name, and says the same."""
    form, step = pickle.loads(blob)  # noqa: S301 - its signature has been checked
    cause = _made(form)
    return cause if step is None else StepError(step[0], step[1], cause, step[2])


def _form(error: BaseException) -> _Form:
    """An error as data."""
    blob: bytes | None
    try:
        # Our own errors have arguments that are not those which Exception keeps.
        parts = (type(error), error.args, _plain(error)) if isinstance(error, GeartrainError) else error
        blob = dumps(parts)
        pickle.loads(blob)  # noqa: S301 - we have made it
    except Exception:  # noqa: BLE001 - user code: whatever there is that cannot be pickled
        blob = None
    return type(error).__name__, message_of(error), blob


def _plain(error: GeartrainError) -> dict[str, Any]:
    return {name: value for name, value in vars(error).items() if isinstance(value, str | int | type(None))}


def _made(form: _Form) -> BaseException:
    name, message, blob = form
    try:
        if blob is not None:
            return _revived(pickle.loads(blob))  # noqa: S301 - its signature has been checked
    except Exception:  # noqa: BLE001, S110 - a class that is not here, say: the text has to do
        pass
    return cast("BaseException", type(name, (Exception,), {})(message))


def _revived(kept: Any) -> BaseException:
    if not isinstance(kept, tuple):
        return cast("BaseException", kept)
    kind, args, state = kept
    error = cast("BaseException", kind.__new__(kind, *args))
    error.__dict__.update(state)
    return error
