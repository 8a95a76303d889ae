"""What the module takes it gives back: the server's memory does not grow with events, hooks or commands."""

from __future__ import annotations

import pytest

from support.hooks import information, set_hook, setting

BYTES = 300_000
"""What may be left over; one leaked string for each of the rounds' commands would be ten times that."""


def used(link):
    """Bytes that the server has allocated, without keys and what connections hold."""
    link.call("FLUSHALL")
    link.close()
    return int(information(link, "memory")["used_memory"])


def events(link):
    """Captured, dropped past the limit, not matching, gone with their hook."""
    set_hook(link, "one", pattern="k*", limit=1, snapshot=1)
    set_hook(link, "types", pattern="*", types="hash", partitions=4, limit=10)
    link.pipeline([("SET", f"k{number % 50}", "x" * 100) for number in range(20_000)])
    link.pipeline([("HSET", f"k{number % 50}h", "f", 1) for number in range(10_000)])
    link.transaction([("SET", "k", 1), ("GEARTRAIN.HOOK", "DEL", "one"), ("FLUSHALL",)])


def changes(link):
    """Hooks set, replaced, refused, deleted, flushed, exchanged."""
    fields = {"pattern": "some:pattern:*", "events": "set del", "types": "hash", "definition": "x" * 100}
    for _ in range(3):
        link.pipeline([setting(f"h{number % 1000}", **fields) for number in range(5000)])
        link.pipeline([setting(f"h{number}", **fields, mode="never") for number in range(2000)])
        link.pipeline([("GEARTRAIN.HOOK", "DEL", f"h{number}") for number in range(500)])
        link.pipeline([("SWAPDB", 0, 1), ("SWAPDB", 0, 1), ("GEARTRAIN.HOOK", "LIST"), ("FLUSHALL",)])


def blocks(link):
    """Atomic blocks with commands that succeed and fail."""
    for number in range(3000):
        link.call("GEARTRAIN.ATOMIC", 5000)
        link.pipeline([("SET", "k", "x" * 200)])
        link.pipeline([("LPUSH", "k", number)])
        link.call("GEARTRAIN.ATOMIC", "END")


@pytest.mark.parametrize("work", [events, changes, blocks], ids=lambda work: work.__name__)
def test_memory_is_given_back(db, work):
    """After a first round, which may fill caches, further ones leave nothing."""
    work(db)
    before = used(db)
    for _ in range(2):
        work(db)
    assert used(db) - before < BYTES
