"""What the server module costs a write: pipelined `SET`s on servers that differ in nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

import redis

from benchmarks.charts import Bars
from benchmarks.report import Table, count, spread
from benchmarks.stage import programs
from benchmarks.stats import Gate, ratios
from benchmarks.suite import Benchmark, Findings, Kind, Say, Sizes
from geartrain import Client
from geartrain.server import EmbeddedServer

DEPTH = 100
"""`SET`s that are sent together."""

MANY = 10_000
"""Registrations of which one matches."""

BARE = "bare server"
NO_MATCH = "Geartrain, nothing matches"
OTHER_EVENTS = "Geartrain, hooks for other events only"
MANY_NO_MATCH = f"Geartrain, none of {MANY:,} matches"
SYNC_EMPTY = "Geartrain, sync, empty function"
SYNC_NO_VALUE = "Geartrain, sync, empty, readValue=False"
SYNC_EXECUTE = "Geartrain, sync, one execute"
ASYNC = "Geartrain, async, captured"
ASYNC_MANY = f"Geartrain, async, one of {MANY:,} matches"

EMPTY_SCRIPT = "GearsBuilder().foreach(lambda x: None).register('user:*', mode='sync')"
NO_VALUE_SCRIPT = "GearsBuilder().foreach(lambda x: None).register('user:*', mode='sync', readValue=False)"
EXECUTE_SCRIPT = "GearsBuilder().foreach(lambda x: execute('incr', 'writes')).register('user:*', mode='sync')"

Setup = Callable[[str], None]


def _script(text: str) -> Setup:
    def submit(url: str) -> None:
        with Client(url) as client:
            client.execute(text, session="bench")

    return submit


def _hooks(*patterns: str, **fields: str) -> Setup:
    more = [word for field in fields.items() for word in field]

    def set_hooks(url: str) -> None:
        with redis.Redis.from_url(url) as connection:
            pipeline = connection.pipeline(transaction=False)
            for number, pattern in enumerate(patterns):
                pipeline.execute_command("GEARTRAIN.HOOK", "SET", f"bench:{number}", "1", "pattern", pattern, *more)
            pipeline.execute()

    return set_hooks


_OTHERS = [f"order:{number}:*" for number in range(MANY)]

SETUPS: Mapping[str, Setup | None] = {
    BARE: None,
    NO_MATCH: _hooks("order:*"),
    OTHER_EVENTS: _hooks("order:*", events="hset"),
    MANY_NO_MATCH: _hooks(*_OTHERS),
    SYNC_EMPTY: _script(EMPTY_SCRIPT),
    SYNC_NO_VALUE: _script(NO_VALUE_SCRIPT),
    SYNC_EXECUTE: _script(EXECUTE_SCRIPT),
    ASYNC: _hooks("user:*"),
    ASYNC_MANY: _hooks(*_OTHERS[1:], "user:*"),
}
"""What is set up on each server; None: it has no module."""

AT_LEAST = {NO_MATCH: 0.98, SYNC_EMPTY: 0.75, SYNC_EXECUTE: 0.45, ASYNC: 0.55}
"""Shares of the bare server's writes."""

MANY_AT_LEAST = 0.97
"""One of many registrations, as a share of one of one."""


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


def measure(sizes: Sizes, say: Say) -> Findings:
    """All in turn, in slices of some milliseconds; then a single write at a time, of each."""
    loads = {name: Load() for name in SETUPS}
    for number in range(1, sizes.rounds + 1):
        with ExitStack() as stack:
            urls = {name: _serving(stack, setup) for name, setup in SETUPS.items()}
            for load, rate in zip(loads.values(), _together(list(urls.values()), sizes.window), strict=True):
                load.rates.append(rate)
            for name, url in urls.items():
                _one_by_one(url, loads[name], sizes.window / 8)
                say(f"writes {number}/{sizes.rounds}: {name}: {count(loads[name].rates[-1])}/s")
    return findings(loads)


def _serving(stack: ExitStack, setup: Setup | None) -> str:
    """The URL of a server of its own, warm."""
    server = stack.enter_context(EmbeddedServer.start(module=setup is not None))
    if setup is not None:
        setup(server.url)
    programs.answer("pipelined_set", server.url, 0.2, DEPTH)
    return server.url


def _together(urls: list[str], window: float) -> list[float]:
    """Writes a second, pipelined, of each; about `window` seconds of each."""
    result = programs.answer("alternating_sets", window * len(urls), DEPTH, *urls)
    return [result["writes"] / seconds for seconds in result["seconds"]]


def _one_by_one(url: str, load: Load, window: float) -> None:
    single = programs.answer("pipelined_set", url, window, 1)
    load.halves.append(single["p50"])
    load.tails.append(single["p99"])


def findings(loads: Mapping[str, Load]) -> Findings:
    """Rates as shares of the bare server's, and the time of a single write."""
    bare = loads[BARE]
    rows = [
        [name, count(median(load.rates)), spread(ratios(load.rates, bare.rates)),
         f"{median(load.halves):.0f} us", f"{median(load.tails):.0f} us", spread(ratios(load.tails, bare.tails))]
        for name, load in loads.items()
    ]  # fmt: skip
    headers = ("SET", "writes/s", "/ bare (min..max)", "one by one p50", "p99", "p99 / bare (min..max)")
    gates = [
        Gate(f"SET, {name.removeprefix('Geartrain, ')} / bare", at, ratios(loads[name].rates, bare.rates))
        for name, at in AT_LEAST.items()
    ]
    many = ratios(loads[ASYNC_MANY].rates, loads[ASYNC].rates)
    gates.append(Gate(f"SET, one of {MANY:,} / one of one", MANY_AT_LEAST, many))
    chart = Bars(
        "writes", "SET in every mode, pipelined", "writes/s", {name: load.rates for name, load in loads.items()}
    )
    return Findings([Table(headers, rows)], gates, [chart])


METHOD = f"""\
Each contestant is a server of its own, the same executable, without persistence, started anew for each round: where a
process has its memory makes some percent. One client is connected to all of them and alternates between them, in
another order each time, in slices of some milliseconds: 20 times {DEPTH} packed `SET`s of ten bytes, whose replies it
counts. What slows the machine for a while slows all of them alike: a ratio, one for each round, is one of summed times.
Once a round a client sends one `SET` at a time to each. No worker runs: captured events stay in the outbox.
"""

TRAPS = """\
* The embedded Valkey is built without jemalloc: allocations cost more than in most production builds, on both sides.
* With an append-only file or a replica each captured entry is propagated too, and so is each write.
* The more commands are sent together, the larger the module's share of a write's cost: with 500 at a time an empty sync
  function's share is 8 points lower, with 16 (redis-benchmark's usual `-P 16`) higher.
* `async` and `async_local` are the same to the server: one row shows both.
"""

BENCHMARK = Benchmark(
    name="writes",
    title="What the server module costs a write, in every mode",
    kind=Kind.GATE,
    contestants=tuple(SETUPS),
    method=METHOD,
    traps=TRAPS,
    measure=measure,
)
