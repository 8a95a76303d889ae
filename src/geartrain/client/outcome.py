"""What running a script gave."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from geartrain.builder import Reader
from geartrain.registry import Submitted


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One `run()` call of a script.

    Attributes:
        reader: what it read.
        pattern: of the keys or streams that it read.
        description: the builder's `desc`, or None.
        results: what its last step gave.
    """

    reader: Reader
    pattern: str
    description: str | None
    results: list[Any]


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a script did.

    Attributes:
        session: the name of its session.
        registered: ids of its registrations, in the order of the `register()` calls.
        runs: its `run()` calls, in order.
        errors: in the dialect redisgears-1.2, where a step that raises drops its record: what was raised, as text. In
            the dialect geartrain `run()` raises it.
        submitted: what the submission changed, by registration id; None where the script registered nothing, and
            nothing was submitted.
        warnings: what the user should know, in sentences.
    """

    session: str
    registered: list[str] = field(default_factory=list)
    runs: list[RunResult] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    submitted: Submitted | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def results(self) -> list[Any]:
        """The results of all `run()` calls, one after the other."""
        return [item for run in self.runs for item in run.results]
