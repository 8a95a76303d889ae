"""Errors of single records, as data: what a pipeline of the dialect redisgears-1.2 gives beside its results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from geartrain.errors import Aborted, CommandError, FlatError, PauseRegistration, StepError, message_of
from geartrain.pipeline.describe import user_lines


@dataclass(frozen=True, slots=True)
class RecordError:
    """One error; the record (or the group, or the whole step) that it belongs to gives no result.

    Attributes:
        message: as Geartrain shows it: which step, which record, what it raised.
        lines: the user's traceback; the last line (or lines) is the exception itself.
        last: the exception alone, for example `ValueError: no price`; that of `flat_error`, its message alone.
        flat: it is to be shown as `last`, whatever else is asked for.
        pauses: it asks that the registration be paused.
        reply: the error line of the command that `call_next` called, which its client gets as it is; else ''.
    """

    message: str
    lines: tuple[str, ...]
    last: str
    flat: bool = False
    pauses: bool = False
    reply: str = ""

    @classmethod
    def of(cls, error: BaseException) -> RecordError:
        """From a StepError, or from whatever else was raised."""
        cause = error.__cause__ or error if isinstance(error, StepError) else error
        message = str(error) if isinstance(error, StepError) else f"{type(error).__name__}: {message_of(error)}"
        if isinstance(cause, FlatError):
            pauses = isinstance(cause, PauseRegistration)
            return cls(message, (), message_of(cause), flat=True, pauses=pauses)
        if isinstance(cause, Aborted):
            # Where it was is chance.
            return cls(message_of(cause), (), message_of(cause), flat=True)
        lines = tuple(user_lines(cause))
        reply = cause.reply if isinstance(cause, CommandError) and cause.command == "call_next" else ""
        return cls(message, lines, lines[-1].rstrip("\n"), reply=reply)

    def text(self, *, traceback: bool = True) -> str:
        """As RedisGears shows it: the `str` of the list of lines.

        Without `traceback` (its option PythonAttemptTraceback is 0), `last`.
        """
        return str(list(self.lines)) if traceback and not self.flat else self.last

    @property
    def trace(self) -> str:
        """The traceback as text."""
        return "".join(self.lines)


class Collected(NamedTuple):
    """What an execution gave.

    Attributes:
        results: of the records that went through.
        errors: of those that did not, in the order in which they happened.
    """

    results: list[Any]
    errors: list[RecordError]
