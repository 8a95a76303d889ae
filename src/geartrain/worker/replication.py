"""`--wait-replicas N`: effects are on N replicas before their commit is sent, and commits before more is done.

A server acknowledges writes before its replicas have them, so a failover can lose the last ones. What must not happen
is that it keeps a commit and loses effects that the commit is about: nobody would execute them again. So

1. A run of batches is executed (for 20 ms at the most; one batch at the least).
2. WAIT on each connection that the run has used, all shards at the same time.
3. Only then the partition has done them, and the committer may commit.
4. The committer WAITs for what it has committed.

Where a connection is lost between 1 and 2, nobody can tell what the new primary has: the run is executed again. Where
replicas do not acknowledge in time, work goes on, is counted (`unreplicated`), and the log says so now and then: a
replica that is away must not stop everything.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from geartrain.errors import CommandError, ServerUnavailable
from geartrain.wire import LONGEST_WAIT, Short

logger = logging.getLogger("geartrain.worker")

_INTERVAL = 10.0
"""Seconds between two lines in the log."""

Wait = Callable[[int, float], list[Short]]
"""How a connection waits: replicas, seconds -> where fewer have acknowledged."""


class Replication:
    """What is asked for. Thread-safe.

    Args:
        replicas: how many are to acknowledge; 0: nobody waits.
        timeout: seconds that one wait takes at the most.
    """

    def __init__(self, replicas: int = 0, timeout: float = 1.0) -> None:
        self.replicas = replicas
        self._timeout = min(timeout, LONGEST_WAIT)
        self._lock = threading.Lock()
        self._told = float("-inf")

    def __bool__(self) -> bool:
        return self.replicas > 0

    def confirmed(self, wait: Wait) -> bool:
        """Wait; whether enough replicas have acknowledged.

        Raises:
            ServerUnavailable: what was sent may be lost.
        """
        try:
            short = wait(self.replicas, self._timeout)
        except CommandError as error:
            self._tell(f"the server refuses it ({error}): grant +wait")
            return False
        for item in short:
            self._tell(f"{item.acknowledged} of {item.server} acknowledged within {self._timeout:g} s")
        return not short

    def committed(self, wait: Wait) -> None:
        """Wait for commits, which may be lost all the same: what they are about is executed again then."""
        try:
            self.confirmed(wait)
        except ServerUnavailable as error:
            logger.debug("whether replicas have the last commits is not known: %s", error)

    def _tell(self, what: str) -> None:
        with self._lock:
            if time.monotonic() < self._told + _INTERVAL:
                return
            self._told = time.monotonic()
        text = "wait_replicas is %d, and %s: a failover now may lose effects of what is committed"
        logger.warning(text, self.replicas, what)
