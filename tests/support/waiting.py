"""Waiting for a thing, with a deadline: what tests do instead of sleeping."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

INTERVAL = 0.01
"""Seconds between two looks."""


def wait_for(condition: Callable[[], T], timeout: float = 10, message: str = "") -> T:
    """Call `condition` until it returns something true, and return that.

    Raises:
        AssertionError: it did not within `timeout` seconds; with `message` and the value that it returned last.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            what = message or getattr(condition, "__name__", "the condition")
            raise AssertionError(f"{what}: not within {timeout:g} s; the last value was {value!r}")
        time.sleep(INTERVAL)
