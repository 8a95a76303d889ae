"""Steps, records and tracebacks as a user reads them."""

from __future__ import annotations

import functools
import os
import reprlib
import traceback
from pathlib import Path
from typing import Any

from geartrain.builder.steps import Kind, Step

PIPELINE_FILE = "<geartrain pipeline>"
"""The file name of generated code."""

_OURS = str(Path(__file__).parent.parent) + os.sep
_RECORD_LENGTH = 200
_FRAMES_AT_EACH_END = 20
_SHOWN_OPTIONS = {Kind.LIMIT, Kind.SORT}


def step_text(number: int, step: Step) -> str:
    """A step as in `step 2, foreach(<lambda> at shop.py:14)`; the first one has number 1."""
    arguments = [function_text(function) for function in step.functions]
    if step.kind in _SHOWN_OPTIONS:
        arguments += [f"{name}={value!r}" for name, value in step.options.items()]
    return f"step {number}, {step.kind.value}({', '.join(arguments)})"


def function_text(function: Any) -> str:
    """A function as in `total at shop.py:10`; one that was not written in Python by its name alone."""
    if isinstance(function, functools.partial):
        return f"partial of {function_text(function.func)}"
    name = getattr(function, "__qualname__", None) or f"{type(function).__qualname__} object"
    short = str(name).rpartition("<locals>.")[2]
    code = getattr(function, "__code__", None)
    if code is None:
        return short
    return f"{short} at {os.path.basename(code.co_filename)}:{code.co_firstlineno}"  # noqa: PTH119  # `<string>` too


class _RecordRepr(reprlib.Repr):
    """`repr` that looks only at the parts it shows, so that a large record costs nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 12
        self.maxstring = self.maxother = 80

    def repr_bytes(self, value: bytes, _level: int) -> str:
        """Bytes, cut before they are escaped."""
        return repr(value) if len(value) <= self.maxstring else f"{value[: self.maxstring]!r}..."


_record_repr = _RecordRepr()


def record_text(record: object) -> str:
    """A record, shortened to about 200 characters; whatever its `repr` does."""
    try:
        text = _record_repr.repr(record)
    except Exception:  # noqa: BLE001  # a report on a failure must not fail itself
        return f"<{type(record).__name__} that cannot be shown: its repr raised>"
    return text if len(text) <= _RECORD_LENGTH else f"{text[: _RECORD_LENGTH - 3]}..."


def user_trace(error: BaseException) -> str:
    """The traceback of an error, and of those that led to it, with the user's frames only."""
    return "".join(user_lines(error))


def user_lines(error: BaseException) -> list[str]:
    """The same, in the pieces in which Python formats it; each ends with a line break, some hold more of them."""
    shown = traceback.TracebackException.from_exception(error, compact=True)
    _drop_ours(shown)
    return list(shown.format())


def _drop_ours(shown: traceback.TracebackException) -> None:
    """Take Geartrain's frames out, and the middle of an endless recursion."""
    frames = [f for f in shown.stack if f.filename != PIPELINE_FILE and not f.filename.startswith(_OURS)]
    if len(frames) > 2 * _FRAMES_AT_EACH_END:
        frames = frames[:_FRAMES_AT_EACH_END] + frames[-_FRAMES_AT_EACH_END:]
    shown.stack = traceback.StackSummary.from_list(frames)
    for other in (shown.__cause__, shown.__context__, *(getattr(shown, "exceptions", None) or ())):
        if other is not None:
            _drop_ours(other)
