"""What the module takes it gives back: the server's memory does not grow with events, hooks or commands."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from support.calls import Raw, figures, serve
from support.hooks import information, set_hook, setting
from support.waiting import wait_for

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


def calls(link):
    """Answered, wrong, returned, given up by either side; in order and not."""
    set_hook(link, "h", reader="command", trigger="t", inorder=1)
    port = urlsplit(link.endpoint.url).port
    worker, callers = Raw(port), [Raw(port, protocol) for protocol in (2, 3, 3)]
    for number in range(1500):
        for caller in callers:
            caller.send("RG.TRIGGER", "t", "x" * 500)
        for blob in (b"$500\r\n" + b"x" * 500 + b"\r\n", b"*", b"*2\r\n:1\r\n-ERR x\r\n"):
            call = serve(worker, "trigger", f"lane:{number}")
            if number % 10 == 0:
                worker.call("GEARTRAIN.RETURN", call.id)
                call = serve(worker, "trigger")
            worker.call("GEARTRAIN.ANSWER", call.id, blob)
        for caller in callers:
            caller.receive()
    for caller in callers:
        caller.send("RG.TRIGGER", "t")
    serve(worker, "trigger")
    for connection in (*callers, worker):
        connection.close()
    wait_for(lambda: figures(link) | {"running": 0, "waiting": 0, "servers": 0} == figures(link))


@pytest.mark.parametrize("work", [events, changes, blocks, calls], ids=lambda work: work.__name__)
def test_memory_is_given_back(db, work):
    """After a first round, which may fill caches, further ones leave nothing."""
    work(db)
    before = used(db)
    for _ in range(2):
        work(db)
    assert used(db) - before < BYTES
