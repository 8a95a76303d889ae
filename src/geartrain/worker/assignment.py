"""Who should own what: every worker computes the same answer from the same lists, without talking to another.

Rendezvous hashing, with a bound: each partition goes to the worker with the highest weight for it that has room, and a
worker has room for its even share. When a worker comes or goes, few of the others' partitions move. Leases, not this,
make sure that two workers never own the same partition: while views differ, the answer may differ too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
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


def share(
    registrations: Mapping[str, Registration],
    streams: Mapping[str, Iterable[bytes] | None],
    workers: Collection[Candidate],
    worker: str,
) -> list[PartitionKey]:
    """The partitions that one worker should own.

    Args:
        registrations: those that are to run, by id.
        streams: the streams of each; None: not known yet.
        workers: the live ones.
        worker: the id of the one that asks.
    """
    candidates: dict[PartitionKey, frozenset[str]] = {}
    for name, registration in registrations.items():
        able = frozenset(item.id for item in workers if item.python == registration.python and name not in item.refused)
        for stream in streams[name] or ():
            candidates[name, stream] = able
    return [key for key, owner in assign(candidates).items() if owner == worker]


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
    for workers, keys in by_workers.items():
        owners.update(_share_out(keys, workers))
    return owners


def _share_out(keys: Iterable[PartitionKey], workers: frozenset[str]) -> dict[PartitionKey, str]:
    ordered = sorted(keys)
    share, rest = divmod(len(ordered), len(workers))
    room = dict.fromkeys(workers, share)
    owners: dict[PartitionKey, str] = {}
    for key in ordered:
        for worker in sorted(workers, key=lambda name: _weight(name, key), reverse=True):
            if room[worker] > 0 or (room[worker] == 0 and rest > 0):
                rest -= room[worker] == 0
                room[worker] -= 1
                owners[key] = worker
                break
    return owners


@lru_cache(maxsize=200_000)
def _weight(worker: str, key: PartitionKey) -> bytes:
    registration, stream = key
    return blake2b(f"{worker}\0{registration}\0".encode() + stream, digest_size=8).digest()
