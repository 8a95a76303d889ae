"""The Python functions that all contestants of `benchmarks.keys` call."""

from __future__ import annotations


def amount(value: str) -> int:
    """What a key's value says."""
    return int(value)


def add(total: int, more: int) -> int:
    """Put amounts together."""
    return total + more
