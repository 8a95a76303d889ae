"""Who should own what: every worker computes the same answer from the same lists, without talking to another.

Rendezvous hashing, with a bound: each partition goes to the worker with the highest weight for it that has room, and a
worker has room for its even share. When a worker comes or goes, few of the others' partitions move. Leases, not this,
make sure that two workers never own the same partition: while views differ, the answer may differ too.

Not every worker may take every partition (a minor version of Python, an environment, a shard of a cluster). What few
may take is shared out first, and counts when the rest is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Protocol

from geartrain.registry import Registration

PartitionKey = tuple[str, bytes]
"""(registration id, stream name); for key events `leases.KEY_EVENTS` stands in its place."""


class Candidate(Protocol):
    """A live worker, as far as it matters here."""

    @property
    def id(self) -> str:
        """Unique."""

    @property
    def python(self) -> str:
        """Its minor version."""

    @property
    def refused(self) -> frozenset[str]:
        """Registrations that it cannot run."""

    @property
    def local(self) -> str | None:
        """The primary of the one shard whose streams it takes; None: it takes all."""

    @property
    def environment(self) -> str:
        """Whose registrations it takes."""


def share(
    registrations: Mapping[str, Registration],
    streams: Mapping[str, Iterable[bytes] | None],
    workers: Collection[Candidate],
    worker: str,
    primary_of: Callable[[bytes], str | None],
) -> tuple[list[PartitionKey], list[PartitionKey]]:
    """The partitions that one worker should own, and those on shards whose streams nobody takes.

    Args:
        registrations: those that are to run, by id.
        streams: the streams of each; None: not known yet.
        workers: the live ones.
        worker: the id of the one that asks.
        primary_of: the primary of a stream's shard; None: it has none. Asked only where a worker takes one shard's.
    """
    candidates: dict[PartitionKey, frozenset[str]] = {}
    apart: set[str] = set()
    for name, registration in registrations.items():
        able = [item for item in workers if _fits(item, registration)]
        if all(item.local is None for item in able):
            everyone = frozenset(item.id for item in able)
            candidates.update(((name, stream), everyone) for stream in streams[name] or ())
            continue
        apart.add(name)
        on_shard = _by_shard(able)
        for stream in streams[name] or ():
            candidates[name, stream] = on_shard(primary_of(stream))
    owned = [key for key, owner in assign(candidates).items() if owner == worker]
    return owned, [key for key, able in candidates.items() if not able and key[0] in apart]


def _fits(worker: Candidate, registration: Registration) -> bool:
    """Whether a worker can run a registration."""
    is_its_kind = worker.python == registration.python and worker.environment == registration.environment
    return is_its_kind and registration.id not in worker.refused


def _by_shard(workers: Collection[Candidate]) -> Callable[[str | None], frozenset[str]]:
    """Who may take the streams of the shard with that primary."""
    known: dict[str | None, frozenset[str]] = {}

    def eligible(primary: str | None) -> frozenset[str]:
        if primary not in known:
            known[primary] = frozenset(item.id for item in workers if item.local is None or item.local == primary)
        return known[primary]

    return eligible


def assign(partitions: Mapping[PartitionKey, frozenset[str]]) -> dict[PartitionKey, str]:
    """The owner of each partition.

    Args:
        partitions: for each partition the workers that can run it; those with none are left out of the answer.
    """
    owners: dict[PartitionKey, str] = {}
    by_workers: dict[frozenset[str], list[PartitionKey]] = {}
    for key, workers in partitions.items():
        if workers:
            by_workers.setdefault(workers, []).append(key)
    loads = dict.fromkeys(frozenset().union(*by_workers), 0)
    for workers in sorted(by_workers, key=lambda workers: (len(workers), sorted(workers))):
        owners.update(_share_out(by_workers[workers], workers, loads))
    return owners


def _share_out(keys: Iterable[PartitionKey], workers: frozenset[str], loads: dict[str, int]) -> dict[PartitionKey, str]:
    """Share out what all of these workers can run, so that they have as many as each other; adds to their loads."""
    ordered = sorted(keys)
    level = _level([loads[worker] for worker in workers], len(ordered))
    # Below the level there is room for everybody, and on it for the rest.
    rest = len(ordered) - sum(max(0, level - loads[worker]) for worker in workers)
    owners: dict[PartitionKey, str] = {}
    for key in ordered:
        for worker in sorted(workers, key=lambda name: _weight(name, key), reverse=True):
            if loads[worker] < level or (loads[worker] == level and rest > 0):
                rest -= loads[worker] == level
                loads[worker] += 1
                owners[key] = worker
                break
    return owners


def _level(loads: Iterable[int], count: int) -> int:
    """The highest level to which so many more can fill up everybody who is below it."""
    ordered = sorted(loads)
    filled, level = 0, ordered[0]
    for full, above in zip(range(1, len(ordered) + 1), [*ordered[1:], None], strict=True):
        step = (count - filled) // full
        if above is None or step < above - level:
            return level + step
        filled += (above - level) * full
        level = above
    return level


@lru_cache(maxsize=200_000)
def _weight(worker: str, key: PartitionKey) -> bytes:
    registration, stream = key
    return blake2b(f"{worker}\0{registration}\0".encode() + stream, digest_size=8).digest()
