"""A finding: what one check saw, in a sentence, and what to type."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Result(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw.

    Attributes:
        check: the check's name.
        result: ok; warning: it works, with a risk; failed: something will not work.
        message: one sentence.
        fix: what to type or to set, or None.
    """

    check: str
    result: Result
    message: str
    fix: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """For JSON."""
        return asdict(self)


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, Result.OK, message)


def warning(check: str, message: str, fix: str | None = None) -> Finding:
    """It works, with a risk."""
    return Finding(check, Result.WARNING, message, fix)


def failed(check: str, message: str, fix: str | None = None) -> Finding:
    """Something will not work."""
    return Finding(check, Result.FAILED, message, fix)
