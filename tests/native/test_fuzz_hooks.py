"""Chance against the module: whatever hooks and keys are, it takes them or says no, and captures what it should.

Each test runs for GEARTRAIN_FUZZ_SECONDS (2); the seed is printed.
"""

from __future__ import annotations

import os
import time

from geartrain.glob import matches
from geartrain.text import to_bytes
from geartrain.wire import ErrorReply
from support.hooks import entries, hooks, outbox, set_hook, setting

SECONDS = float(os.environ.get("GEARTRAIN_FUZZ_SECONDS", "2"))

FIELDS = [
    "reader",
    "mode",
    "pattern",
    "events",
    "types",
    "partitions",
    "snapshot",
    "limit",
    "value",
    "user",
    "definition",
    "keyprefix",
    "trigger",
    "inorder",
    "environment",
    "order",
]
VALUES = [
    "keys",
    "stream",
    "command",
    "echo",
    "async",
    "sync",
    "0",
    "1",
    "2",
    "1024",
    "-1",
    "18446744073709551616",
    "set del",
    "string",
    "*",
    "",
]
ATOMS = [b"a", b"b", b"k", b"*", b"?", b"[", b"]", b"^", b"-", b"\\", b"\x00", b"\xff", b"\n", b"[a-k]", b"[^a]", b"**"]
EVENTS = ["set", "del", "hset", "lpush", "sadd", "zadd", "xadd", "expire", "rename_from", "rename_to", "append"]
TYPES = ["string", "hash", "list", "set", "zset", "stream", "none"]


def rounds():
    """Numbers, for as long as a test is to run."""
    until, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < until:
        yield number
        number += 1


def some_bytes(seed):
    """Bytes of any kind, short mostly."""
    return seed.randbytes(seed.choice([0, 1, 3, 10, 300]))


def test_any_words_are_taken_or_refused(db, seed):
    """Random commands: an answer for each, the server lives, and LIST has what was taken."""
    known = set()
    for _ in rounds():
        words = []
        for _ in range(seed.randrange(5)):
            words += [seed.choice([*FIELDS, some_bytes(seed)]), seed.choice([*VALUES, some_bytes(seed)])]
        words += seed.choices(["extra"], k=seed.random() < 0.1)
        name = seed.choice([b"h", b"\x00", b"\xff{}", some_bytes(seed)])
        verb = seed.choices(["SET", "DEL", "LIST", some_bytes(seed)], [20, 3, 1, 1])[0]
        (reply,) = db.pipeline([("GEARTRAIN.HOOK", verb, name, seed.choice([1, 0, "x", 2**63]), *words)])
        if verb == "SET" and reply == "OK":
            known.add(name)
        if verb == "DEL" and reply == 1:
            known.discard(name)
        assert verb in {"SET", "DEL"} or isinstance(reply, ErrorReply)
        db.pipeline([("GEARTRAIN.HOOK", "DEL", name)] if verb == "DEL" else [("SET", some_bytes(seed), 1), ("PING",)])
        known -= {name} if verb == "DEL" else set()
    assert db.call("PING") == "PONG"
    assert {to_bytes(item) for item in hooks(db)} == known


def some_pattern(seed):
    """A glob, or something that looks like one."""
    return b"".join(seed.choices(ATOMS, k=seed.randrange(1, 7)))


def some_key(seed):
    """A key that patterns may match."""
    return b"".join(
        seed.choices([b"a", b"b", b"k", b"\x00", b"\xff", b"\n", b"-", b"]", b"\\", b"^"], k=seed.randrange(5))
    )


def some_command(seed):
    """A write."""
    key = some_key(seed)
    return seed.choice(
        [
            *(
                ("SET", key, 1),
                ("DEL", key),
                ("HSET", key, "f", 1),
                ("LPUSH", key, 1),
                ("SADD", key, 1),
                ("ZADD", key, 1, 1),
            ),
            *(("XADD", key, "*", "f", 1), ("EXPIRE", key, 1000), ("RENAME", key, some_key(seed)), ("APPEND", key, "x")),
        ]
    )


def some_words(seed, words):
    """A white list of some of the words, or none."""
    return " ".join(seed.sample(words, seed.randrange(4))) if seed.random() < 0.5 else ""


def test_what_is_captured_is_what_a_model_says(db, seed):
    """Hooks of random patterns and white lists, random writes: each outbox has what the hook asks for, in order.

    The hook `all` has everything; the others' share of that is computed with geartrain.glob.
    """
    for _ in rounds():
        db.call("FLUSHALL")
        asked = {
            f"h{number}": (some_pattern(seed), some_words(seed, EVENTS), some_words(seed, TYPES))
            for number in range(40)
        }
        set_hook(db, "all")
        db.pipeline([setting(name, pattern=p, events=e, types=t) for name, (p, e, t) in asked.items()])
        for name in seed.sample(sorted(asked), 5):
            db.call("GEARTRAIN.HOOK", "DEL", name)
            del asked[name]
        db.pipeline([some_command(seed) for _ in range(300)])
        everything = entries(db, "all")
        assert everything
        for name, (pattern, events, types) in asked.items():
            expected = [
                entry
                for entry in everything
                if matches(pattern, entry.key)
                and (not events or entry.event in events.split())
                and (not types or entry.type in types.split())
            ]
            assert entries(db, name) == expected, (pattern, events, types)
            assert hooks(db)[name].captured == len(expected)


def test_hooks_come_and_go_while_keys_change(db, seed):
    """Set, replaced, deleted, flushed and moved, in transactions with writes: nothing stops, nothing comes twice."""
    for _ in rounds():
        commands = []
        for _ in range(30):
            name = f"h{seed.randrange(5)}"
            fields = {
                "pattern": some_pattern(seed),
                "partitions": seed.choice([1, 2, 1024]),
                "snapshot": seed.choice([0, 1]),
            }
            change = [("GEARTRAIN.HOOK", "DEL", name), ("SWAPDB", 0, 1), ("FLUSHDB",), ("SELECT", seed.randrange(2))]
            commands.append(
                seed.choices([setting(name, **fields), seed.choice(change), some_command(seed)], [4, 1, 10])[0]
            )
        db.pipeline([("MULTI",), *commands, ("EXEC",)] if seed.random() < 0.7 else commands)
        assert db.call("PING") == "PONG"
    db.pipeline([("SELECT", 0), ("FLUSHALL",)])
    set_hook(db)
    db.call("SET", "k", 1)
    assert db.call("XLEN", outbox(db)) == 1
