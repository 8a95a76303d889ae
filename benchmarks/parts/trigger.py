"""How long `RG.TRIGGER` takes, beside a `PING` of the same connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from benchmarks.report import Table, spread
from benchmarks.stage.workers import working
from benchmarks.stats import Gate, percentile, ratios
from benchmarks.suite import Benchmark, Broken, Contestant, Findings, Kind, Say, Sizes, interleaved
from geartrain import Client, Dialect
from geartrain.server import EmbeddedServer
from geartrain.wire import Endpoint, Link

SCRIPT = "GearsBuilder('CommandReader').map(lambda x: x[1]).register(trigger='echo')"

PING, TRIGGER = "PING", "Geartrain, RG.TRIGGER"

AT_MOST = 4.0
"""Times the median of a PING."""

PARTS = {"p50": 0.5, "p90": 0.9, "p99": 0.99}

_WARM = 500
"""Calls before anything counts."""


def measure(sizes: Sizes, say: Say) -> Findings:
    """Both in turn."""
    calls = sizes.pick(2000, 200)
    with EmbeddedServer.start(module=True) as server, Client(server.url) as client, Link(Endpoint(server.url)) as link:
        client.execute(SCRIPT, session="bench", dialect=Dialect.REDISGEARS_1_2)
        with working(server.url):
            actions: dict[str, Callable[[], object]] = {
                PING: lambda: link.call("PING"),
                TRIGGER: lambda: link.call("RG.TRIGGER", "echo", "hello"),
            }
            if (reply := actions[TRIGGER]()) != ["hello"]:
                raise Broken(f"RG.TRIGGER replied {reply!r}")
            for action in actions.values():
                _times(action, _WARM)
            contestants = {
                name: Contestant(
                    lambda action=action: _times(action, calls),
                    show=lambda times: f"p50 {median(times):.0f} us",
                )
                for name, action in actions.items()
            }
            return findings(interleaved("trigger", contestants, 2 * sizes.rounds, say).figures)


def _times(action: Callable[[], object], count: int) -> list[float]:
    """Microseconds of each call."""
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        action()
        times.append((time.perf_counter() - begin) * 1e6)
    return times


def findings(figures: Mapping[str, Sequence[Sequence[float]]]) -> Findings:
    """Percentiles, medians over the rounds."""
    halves = {name: [median(times) for times in rounds] for name, rounds in figures.items()}
    rows = [
        [name, *(f"{median([percentile(times, part) for times in rounds]):.0f}" for part in PARTS.values()),
         spread(ratios(halves[name], halves[PING]))]
        for name, rounds in figures.items()
    ]  # fmt: skip
    gate = Gate("p50 of RG.TRIGGER / PING", AT_MOST, ratios(halves[TRIGGER], halves[PING]), at_least=False)
    return Findings([Table(("microseconds", *PARTS, "p50 / PING (min..max)"), rows)], [gate])


METHOD = """\
One client, one call after the other: what is measured is the way, not the throughput. On it are the client, the server,
a thread of the worker, the server again and the client again, so each wakes up twice as often as for a `PING`.
"""

TRAPS = """\
* The function returns its argument: what a function does comes on top.
* A machine with few cores, or a busy one, pays more for each wake-up, and has more of them here than in a `PING`.
"""

BENCHMARK = Benchmark(
    name="trigger",
    title="RG.TRIGGER beside PING",
    kind=Kind.GATE,
    contestants=(PING, TRIGGER),
    method=METHOD,
    traps=TRAPS,
    measure=measure,
)
