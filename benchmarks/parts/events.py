"""From a `SET` to the effect of its async function."""

from __future__ import annotations

from statistics import median

import redis

from benchmarks.charts import Lines
from benchmarks.report import Table
from benchmarks.stage.pace import EFFECT, Pace
from benchmarks.stage.workers import working
from benchmarks.stats import percentile
from benchmarks.suite import Benchmark, Contestant, Findings, Kind, Say, Sizes, interleaved
from geartrain import Client
from geartrain.server import EmbeddedServer

RATES = (200, 1000, 2000)
"""Events a second."""

KEYS = 1_000_000
"""Names in turn, one for each microsecond: none is written again before its event is through."""

PARTS = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}

SCRIPT = "GearsBuilder().foreach(lambda x: execute('evalsha', '{sha}', 1, 'way', x['value'])).register('sent:*')"


def measure(sizes: Sizes, say: Say) -> Findings:
    """Each rate in turn."""
    seconds = sizes.pick(2.0, 0.4)
    with EmbeddedServer.start(module=True) as server, redis.Redis.from_url(server.url, decode_responses=True) as link:
        with Client(server.url) as client:
            client.execute(SCRIPT.replace("{sha}", str(link.script_load(EFFECT))), session="bench")
        with working(server.url):
            contestants = {
                f"Geartrain, {rate:,}/s": Contestant(
                    lambda rate=rate: _delays(link, rate, seconds),
                    show=lambda delays: f"p50 {median(delays):.0f} us",
                )
                for rate in RATES
            }
            figures = interleaved("events", contestants, sizes.at_most(3), say).figures
    rows = [
        [name, *(f"{median([percentile(delays, part) for delays in rounds]):.0f}" for part in PARTS.values())]
        for name, rounds in figures.items()
    ]
    lines = {
        name: [
            (float(number), percentile([delay for delays in rounds for delay in delays], part))
            for number, part in enumerate(PARTS.values())
        ]
        for name, rounds in figures.items()
    }
    chart = Lines("events", "From SET to its async function", "", "microseconds", lines, tuple(PARTS), log="y")
    return Findings([Table(("microseconds", *PARTS), rows)], charts=[chart])


def _delays(link: redis.Redis, rate: int, seconds: float) -> list[float]:
    pace = Pace(link, "way", rate)
    return pace.delays(round(rate * seconds), lambda pipeline, clock: pipeline.set(f"sent:{clock % KEYS}", clock))


METHOD = """\
One worker process on the same machine. The producer's clock is the value; the function runs a script that compares it
with the server's clock. The way: notification, outbox, a blocked `XREAD`, the value read, the function, its command.
"""

TRAPS = """\
* Each write is of another key: a function sees the value that its key has when it is read, and would take that of a
  newer write for its own.
* Most of the time is the wake-up of processes and threads, as with streams above.
"""

BENCHMARK = Benchmark(
    name="events",
    title="From SET to its async function",
    kind=Kind.INFORMATIONAL,
    contestants=[f"Geartrain, {rate:,}/s" for rate in RATES],
    method=METHOD,
    traps=TRAPS,
    measure=measure,
)
