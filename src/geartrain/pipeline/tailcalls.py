"""Calls whose reply nobody can notice."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import CodeType

from geartrain.builder.steps import Step


def tail_calls(steps: Sequence[Step], targets: Collection[object]) -> frozenset[tuple[CodeType, int]]:
    """The call sites of `targets` in step functions whose reply nobody can notice."""
    return frozenset()


def marked_steps(steps: Sequence[Step], targets: Collection[object]) -> frozenset[int]:
    """The numbers of the steps that mention one of `targets`, or may reach one."""
    return frozenset()
