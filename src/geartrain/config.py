"""Settings: every tunable, with its unit, its effect and its default, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

URL_VARIABLE = "GEARTRAIN_URL"
"""The environment variable with the server's URL, where none is given."""

DEFAULT_URL = "redis://127.0.0.1:6379"
"""The server, where not even the variable is set."""


class Dialect(StrEnum):
    """Which record format and which defaults a session's registrations get."""

    GEARTRAIN = "geartrain"
    REDISGEARS_1_2 = "redisgears-1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """A worker process's tunables.

    Attributes:
        threads: executions that run at the same time in one process; user code that blocks holds one of them.
        lease_ttl: seconds after which a dead worker's partitions go to another. Shorter: faster takeover, more
            renewals; a pause of a worker (a debugger, a SIGSTOP) longer than this costs it its partitions.
        commit_interval: seconds within which finished work is committed while a partition is busy. Longer: fewer
            commits, more repetition after a crash.
        poll_interval: seconds between two looks at the registry; how soon a change is noticed.
        scan_interval: seconds between two scans for streams that match a pattern, at least; a scan that takes long is
            followed by a pause of 20 times its own length.
        block: seconds that an idle read waits in the server.
        prefetch: records that a partition may hold in memory beyond its running batch (at least one batch is allowed).
        read_budget: records that one read may bring, over all partitions.
        buffer_memory: bytes of entries (estimated) that all partitions together may hold; beyond, a partition is read
            for only when it holds less than a batch.
        stop_deadline: seconds that a stop waits for running executions.
        history: executions that a registration's history keeps.
        wait_replicas: replicas of each server (each shard) that are to have the effects of batches before these are
            committed, and the commits; 0: nobody waits for them. About 20 ms of work share one wait.
        wait_timeout: seconds, at the most 20, after which work goes on without them.
        local: on a cluster: nodes (`host:port,host:port`) of the one shard whose streams are taken; '': all are.
    """

    threads: int = 4
    lease_ttl: float = 10.0
    commit_interval: float = 0.05
    poll_interval: float = 0.5
    scan_interval: float = 1.0
    block: float = 2.0
    prefetch: int = 4000
    read_budget: int = 20000
    buffer_memory: int = 256 * 1024 * 1024
    stop_deadline: float = 30.0
    history: int = 100
    wait_replicas: int = 0
    wait_timeout: float = 1.0
    local: str = ""


def given_options(reply: Any) -> dict[str, Any]:
    """What the server module was given at its load, by name in lower case, from its reply to `GEARTRAIN.CONFIG`."""
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {str(name).lower(): value for name, value in pairs}
