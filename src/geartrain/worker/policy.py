"""What to do with a batch that failed: a plain decision, made without I/O or clock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from geartrain.builder.requests import FailurePolicy

_FIRST_WAIT = 0.1
_LONGEST_WAIT = 5.0

_UNSUSPECTED = 2
"""Owners in a row that may end without a commit before their successor waits."""

_LONGEST_CAUTION = 30.0


class Verdict(Enum):
    """What happens next."""

    RETRY = "retried"
    ABORT = "aborted"
    CONTINUE = "failed"
    PAUSE = "paused"

    @property
    def outcome(self) -> str:
        """What the statistics count the execution as."""
        return "failed" if self is Verdict.PAUSE else self.value

    @property
    def ends(self) -> bool:
        """Whether the registration executes nothing more."""
        return self in (Verdict.ABORT, Verdict.PAUSE)


@dataclass(frozen=True, slots=True)
class Policy:
    """A registration's failure policy.

    Attributes:
        kind: retry, abort or continue.
        interval: seconds between two tries.
        max_retries: tries after the first; None: no limit.
    """

    kind: FailurePolicy
    interval: float
    max_retries: int | None

    def decide(self, failures: int) -> Verdict:
        """The verdict on a batch that has now failed `failures` times (at least once)."""
        if self.kind is FailurePolicy.CONTINUE:
            return Verdict.CONTINUE
        if self.kind is FailurePolicy.ABORT:
            return Verdict.ABORT
        if self.max_retries is not None and failures > self.max_retries:
            return Verdict.ABORT
        return Verdict.RETRY


def backoff(failures: int) -> float:
    """Seconds to wait for a server that has now been unavailable `failures` times in a row (at least once)."""
    return min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (min(failures, 10) - 1))


def caution(tries: int) -> float:
    """Seconds to wait before a batch that owners of its partition have begun with and not committed.

    They may have been killed for other reasons, so the first few do not count. But a record that ends every process
    that takes it must not keep those processes from all other partitions.

    Args:
        tries: how many, the present owner included; 0: nobody.
    """
    return 0.0 if tries <= _UNSUSPECTED else min(_LONGEST_CAUTION, 0.5 * 2.0 ** (min(tries, 20) - _UNSUSPECTED - 1))
