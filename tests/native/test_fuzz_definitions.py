"""Chance against functions in the server: broken code is refused with a reason, and the server answers.

GEARTRAIN_FUZZ_SECONDS (2) for each test; the seed is printed.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import time
from copy import deepcopy

import pytest

from geartrain import GearsBuilder, execute
from geartrain.registry import Store, hooks
from support.hooks import hooks as states
from support.hooks import listing
from support.inserver import register
from support.sanitizers import reports_folder
from support.waiting import wait_for

SECONDS = float(os.environ.get("GEARTRAIN_FUZZ_SECONDS", "2"))
MEMORY = 4 << 30
"""Bytes that the server may have: pickles can ask for any amount."""

WRONG = [None, True, -1, 0, 2**31, 2**63, 10**400, 1.5, "", "x", "\x00", [], {}, [[]], {"a": {}}, "[" * 1000]


def script():
    """A function of some size, with names and constants in its pickle."""
    GearsBuilder("KeysReader").filter(lambda r: r["key"] != "x").foreach(
        lambda r: execute("rpush", "out", r["key"])
    ).register("k*", mode="sync", readValue=False)


@pytest.fixture
def parts(own, module_server):
    """The words of a hook that runs, and its definition."""
    if listing(own)["sync"] != "ok":
        pytest.skip(listing(own)["sync"])
    if reports_folder() is None:  # the sanitizers have a bound of their own, and reserve far more than this
        resource.prlimit(module_server.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
    (name,) = register(own, script)
    store = Store(own)
    record = store.snapshot().registrations[name]
    words = list(hooks.set_command(record, store.parcel(record.session)))
    at = words.index("definition") + 1
    return words, at, json.loads(words[at])


def try_all(link, server, parts, definitions):
    """Set hooks of these definitions, trigger them, and see that the server answers."""
    words, at, _ = parts
    until = time.monotonic() + SECONDS
    for number, definition in enumerate(definitions):
        words[2], words[at] = f"f{number % 7}", definition
        link.pipeline([words, ("SET", "k", number), ("GEARTRAIN.HOOK", "LIST")])
        if number % 10 == 0:
            link.pipeline([("GEARTRAIN.HOOK", "DEL", words[2])])
        assert link.call("PING") == "PONG"
        if time.monotonic() > until:
            break
    assert number > 5
    wait_for(lambda: all("not loaded yet" not in hook.error for hook in states(link).values()))
    link.call("SET", "k", "last")
    assert any(hook.error for name, hook in states(link).items() if name.startswith("f"))
    good = next(hook for name, hook in states(link).items() if not name.startswith("f"))
    assert good.error == ""
    assert "k" in link.call("LRANGE", "out", -1, -1)
    assert server.running


def test_definitions_of_any_bytes(own, module_server, parts, seed):
    """No JSON, or JSON of something else."""

    def made():
        while True:
            yield seed.choice(
                [seed.randbytes(seed.randrange(200)), json.dumps(seed.choice(WRONG)), b"[" * 100_000, b"{" * 9]
            )

    try_all(own, module_server, parts, made())


def test_definitions_with_fields_of_other_types(own, module_server, parts, seed):
    """Each field of the definition and of the registration in it, replaced or left out."""
    definition = parts[2]

    def made():
        while True:
            changed = dict(definition)
            inner = json.loads(changed["registration"])
            for _ in range(seed.randrange(1, 3)):
                place = seed.choice(
                    [item for item in (changed, inner, inner.get("arguments")) if item and isinstance(item, dict)]
                )
                name = seed.choice(sorted(place))
                if seed.random() < 0.2:
                    place.pop(name)
                else:
                    place[name] = deepcopy(seed.choice(WRONG))
            if isinstance(changed.get("registration"), str):
                changed["registration"] = json.dumps(inner)
            yield json.dumps(changed)

    try_all_lenient(own, module_server, parts, made())


def try_all_lenient(link, server, parts, definitions):
    """As `try_all`; some of them may run."""
    words, at, _ = parts
    until = time.monotonic() + SECONDS
    for number, definition in enumerate(definitions):
        words[2], words[at] = f"f{number % 7}", definition
        link.pipeline([words, ("SET", "k", number)])
        assert link.call("PING") == "PONG"
        if time.monotonic() > until:
            break
    link.pipeline([("GEARTRAIN.HOOK", "DEL", f"f{number}") for number in range(7)])
    link.call("DEL", "out")
    link.call("SET", "k", "last")
    assert link.call("LRANGE", "out", 0, -1) == ["k"]
    assert server.running


def test_pickles_that_are_damaged(own, module_server, parts, seed):
    """Truncated, and with bits flipped, which their digest tells; and pickles that end early, with theirs."""
    definition = parts[2]
    blob = base64.b64decode(definition["blob"])

    def made():
        while True:
            damaged, right = bytearray(blob), {}
            if seed.random() < 0.3:
                del damaged[seed.randrange(len(damaged)) :]
                right = seed.choice([{}, {"digest": hooks.digest(damaged)}])
            else:
                for _ in range(seed.choice([1, 1, 2, 10])):
                    damaged[seed.randrange(len(damaged))] ^= 1 << seed.randrange(8)
            yield json.dumps({**definition, "blob": base64.b64encode(damaged).decode(), **right})

    try_all_lenient(own, module_server, parts, made())
