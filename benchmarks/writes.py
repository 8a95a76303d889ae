"""What the server module costs a write: pipelined `SET`s on servers that differ in nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import redis

from benchmarks.arena import ROOT, Broken, wait_for
from benchmarks.latency import EFFECT
from benchmarks.report import Table, count, spread
from benchmarks.stats import Gate, percentile, ratios
from geartrain import Client
from geartrain.config import WorkerSettings
from geartrain.server import EmbeddedServer
from geartrain.worker.supervisor import Supervisor

DEPTH = 500
"""`SET`s that are sent together."""

MANY = 10_000
"""Registrations of which one matches."""

RATE = 200
"""Events a second where their way to the function is measured."""

BARE = "bare server"
NO_MATCH = "module, nothing matches"
OTHER_EVENTS = "module, hooks for other events only"
SYNC_EMPTY = "sync, empty function"
SYNC_NO_VALUE = "sync, empty, readValue=False"
SYNC_EXECUTE = "sync, one execute"
ASYNC = "async, captured"
ASYNC_MANY = f"async, one of {MANY:,} matches"
MANY_NO_MATCH = f"none of {MANY:,} matches"

EMPTY_SCRIPT = "GearsBuilder().foreach(lambda x: None).register('user:*', mode='sync')"
NO_VALUE_SCRIPT = "GearsBuilder().foreach(lambda x: None).register('user:*', mode='sync', readValue=False)"
EXECUTE_SCRIPT = "GearsBuilder().foreach(lambda x: execute('incr', 'writes')).register('user:*', mode='sync')"
WAY_SCRIPT = "GearsBuilder().foreach(lambda x: execute('evalsha', '{sha}', 1, 'way', x['value'])).register('sent:*')"


def _script(text: str) -> Callable[[str], None]:
    def submit(url: str) -> None:
        with Client(url) as client:
            client.execute(text, session="bench")

    return submit


def _hooks(*patterns: str, **fields: str) -> Callable[[str], None]:
    more = [word for field in fields.items() for word in field]

    def set_hooks(url: str) -> None:
        pipeline = redis.Redis.from_url(url).pipeline(transaction=False)
        for number, pattern in enumerate(patterns):
            pipeline.execute_command("GEARTRAIN.HOOK", "SET", f"bench:{number}", "1", "pattern", pattern, *more)
        pipeline.execute()

    return set_hooks


def contestants() -> Mapping[str, Callable[[str], None] | None]:
    """What is set up on each server; None: it has no module."""
    others = [f"order:{number}:*" for number in range(MANY)]
    return {
        BARE: None,
        NO_MATCH: _hooks("order:*"),
        OTHER_EVENTS: _hooks("order:*", events="hset"),
        MANY_NO_MATCH: _hooks(*others),
        SYNC_EMPTY: _script(EMPTY_SCRIPT),
        SYNC_NO_VALUE: _script(NO_VALUE_SCRIPT),
        SYNC_EXECUTE: _script(EXECUTE_SCRIPT),
        ASYNC: _hooks("user:*"),
        ASYNC_MANY: _hooks(*others[1:], "user:*"),
    }


@dataclass(slots=True)
class Load:
    """What was measured with one of them, one value for each round.

    Attributes:
        rates: writes a second, pipelined.
        halves: microseconds of a single write, median.
        tails: the same, 99th percentile.
    """

    rates: list[float] = field(default_factory=list)
    halves: list[float] = field(default_factory=list)
    tails: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Series:
    """All that was measured.

    Attributes:
        loads: by contestant.
        way: microseconds from a `SET` to its async function's effect, by round.
    """

    loads: dict[str, Load]
    way: list[list[float]]


def measure(rounds: int, window: float, say: Callable[[str], None]) -> Series:
    """All contestants in turn, again and again: `window` seconds of each; then events' way to a function."""
    series = Series({name: Load() for name in contestants()}, [])
    with ExitStack() as stack:
        urls = {name: stack.enter_context(_server(setup)) for name, setup in contestants().items()}
        for number in range(1, rounds + 1):
            for load, rate in zip(series.loads.values(), _together(list(urls.values()), window), strict=True):
                load.rates.append(rate)
            for name, url in urls.items():
                _one_by_one(url, series.loads[name], window / 8)
                say(f"writes {number}/{rounds}: {name}: {count(series.loads[name].rates[-1])}/s")
    with _working() as url:
        for number in range(1, rounds + 1):
            series.way.append(_way(url, round(RATE * window / 2)))
            say(f"writes {number}/{rounds}: from SET to an async function: p50 {median(series.way[-1]):.0f} us")
    return series


@contextmanager
def _server(setup: Callable[[str], None] | None) -> Iterator[str]:
    with EmbeddedServer.start(module=setup is not None) as server:
        if setup is not None:
            setup(server.url)
        _load(server.url, 0.2, DEPTH)
        yield server.url


def _one_by_one(url: str, load: Load, window: float) -> None:
    single = _load(url, window, 1)
    load.halves.append(single["p50"])
    load.tails.append(single["p99"])
    connection = redis.Redis.from_url(url)
    # Nobody empties the outboxes here.
    for key in connection.scan_iter("geartrain:*outbox*", count=1000):
        connection.unlink(key)


def _together(urls: list[str], window: float) -> list[float]:
    """Writes a second, pipelined, of each; about `window` seconds of each."""
    result = _peer("alternating_sets", str(window * len(urls)), str(DEPTH), *urls)
    return [result["writes"] / seconds for seconds in result["seconds"]]


def _load(url: str, seconds: float, depth: int) -> Mapping[str, float]:
    result: Mapping[str, float] = _peer("pipelined_set", url, str(seconds), str(depth))
    return result


def _peer(name: str, *arguments: str) -> Any:
    """What a client prints."""
    command = [sys.executable, "-m", f"benchmarks.peers.{name}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken(f"{name}: exit code {done.returncode}: {done.stderr[-500:]}")
    return json.loads(done.stdout)


# -- from a write to its function --------------------------------------------------------------------------------------


@contextmanager
def _working() -> Iterator[str]:
    """A server with a worker whose function keeps how long each event took."""
    with EmbeddedServer.start(module=True) as server:
        sha = str(redis.Redis.from_url(server.url, decode_responses=True).script_load(EFFECT))
        _script(WAY_SCRIPT.replace("{sha}", sha))(server.url)
        supervisor = Supervisor(server.url, 1, WorkerSettings(), on_output=lambda _line: None)
        supervisor.start()
        try:
            wait_for(lambda: supervisor.wait_ready(0), "the worker")
            yield server.url
        finally:
            supervisor.stop()


def _way(url: str, events: int) -> list[float]:
    """Write at an even pace; what each event took. The first ones wake everybody up and do not count."""
    connection = redis.Redis.from_url(url)
    warm = RATE // 4
    begin = time.perf_counter()
    for number in range(warm + events):
        time.sleep(max(0.0, begin + number / RATE - time.perf_counter()))
        connection.set(f"sent:{number % 100}", time.time_ns() // 1000)
    wait_for(lambda: connection.llen("way") == warm + events, f"the effects of {warm + events} writes")
    values = [float(value) for value in connection.lrange("way", warm, -1)]
    connection.delete("way")
    return values


# -- the page ----------------------------------------------------------------------------------------------------------


def tables(series: Series) -> list[Table]:
    """The figures."""
    bare = series.loads[BARE]
    rows = [
        [name, count(median(load.rates)), spread(ratios(load.rates, bare.rates)),
         f"{median(load.halves):.0f} us", f"{median(load.tails):.0f} us", spread(ratios(load.tails, bare.tails))]
        for name, load in series.loads.items()
    ]  # fmt: skip
    headers = ("SET", "writes/s", "/ bare (min..max)", "one by one p50", "p99", "p99 / bare (min..max)")
    way = [[f"{percentile(values, part):.0f}" for part in (0.5, 0.99)] for values in series.way]
    return [
        Table("What the server module costs a write", "gate", headers, rows, METHOD, TRAPS),
        Table(
            f"From SET to its async function, {RATE} events/s",
            "informational",
            ("round", "p50 us", "p99 us"),
            [[str(number), *row] for number, row in enumerate(way, 1)],
            WAY_METHOD,
        ),
    ]


def gates(series: Series) -> list[Gate]:
    """What issue 3 asks for, as a share of the bare server."""
    rates = {name: load.rates for name, load in series.loads.items()}
    return [
        Gate("writes, module without a match / bare", 0.97, ratios(rates[NO_MATCH], rates[BARE])),
        Gate("writes, sync with an empty function / bare", 0.65, ratios(rates[SYNC_EMPTY], rates[BARE])),
        Gate("writes, async capture / bare", 0.45, ratios(rates[ASYNC], rates[BARE])),
        Gate(f"writes, one of {MANY:,} / one of one", 0.97, ratios(rates[ASYNC_MANY], rates[ASYNC])),
    ]


METHOD = f"""\
Each contestant is a server of its own, the same executable, without persistence. One client is connected to all of
them and alternates between them, in another order each time, in slices of some ten milliseconds: 20 times {DEPTH}
packed `SET`s of ten bytes, whose replies it counts. What slows the machine for a while slows all of them alike: a
ratio, one for each round, is one of summed times. Once a round a client sends one `SET` at a time to each. No worker
runs: captured events stay in the outbox, which is emptied between the rounds.
"""

TRAPS = """\
* The embedded Valkey is built without jemalloc: allocations cost more than in most production builds, on both sides.
* With an append-only file or a replica each captured entry is propagated too, and so is each write.
* 500 commands at a time is more than most clients send: the fewer, the less the module's share of a write's cost.
"""

WAY_METHOD = """\
One worker process on the same machine. The producer's clock is the value; the function runs a script that compares it
with the server's clock. The way: notification, outbox, a blocked `XREAD`, the value read, the function, its command.
"""
