"""Waiting for things, and the rate at which somebody gets work done, seen from outside."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.suite import Broken

PATIENCE = 60.0
"""Seconds that anything may take before a measurement counts as broken."""

_LOOK = 0.02
"""Seconds between two looks at somebody's progress: often for windows of seconds, too rare to cost anything."""


def wait_for(ready: Callable[[], bool], what: str, patience: float = PATIENCE) -> float:
    """Wait until `ready`; the seconds that it took.

    Raises:
        Broken: it took longer than `patience` seconds.
    """
    begin = time.monotonic()
    while not ready():
        if time.monotonic() - begin > patience:
            raise Broken(f"{what}: not within {patience:g} s")
        time.sleep(_LOOK)
    return time.monotonic() - begin


def rate(
    progress: Callable[[], int],
    total: int,
    window: float,
    *,
    skip: float = 0.0,
    begun: Callable[[], object] = lambda: None,
    alive: Callable[[], bool] = lambda: True,
) -> float:
    """How many a second somebody gets done.

    From the first progress that is seen, so that start-up does not count, to the last one within the window, or to the
    end of the work.

    Args:
        progress: how many are done by now.
        total: how many there are.
        window: seconds; `inf` for all of the work.
        skip: seconds after the first progress that do not count: while several share the work out.
        begun: called when it begins to count.
        alive: False: nothing more will come.

    Raises:
        Broken: no progress, or too little to measure.
    """
    deadline = time.monotonic() + max(PATIENCE, 2 * window if window < PATIENCE else 0)
    begin = 0.0
    first = last = (0.0, 0)
    while alive() and time.monotonic() < deadline:
        done, now = progress(), time.perf_counter()
        if done != last[1]:
            last, begin = (now, done), begin or now
            if not first[1] and now - begin >= skip:
                first = last
                begun()
        if done >= total or (first[1] and now - first[0] >= window):
            break
        time.sleep(_LOOK)
    if not first[1] or last[0] <= first[0]:
        raise Broken(f"too little progress to measure: from {first} to {last} (time, done) of {total}")
    return (last[1] - first[1]) / (last[0] - first[0])
