"""From `XADD` to the effect, at several rates, beside the least that a program can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median

from benchmarks.charts import Lines
from benchmarks.report import Table, spread
from benchmarks.stage import programs
from benchmarks.stage.arena import Arena
from benchmarks.stage.pace import EFFECT, Pace
from benchmarks.stats import Gate, percentile, ratios
from benchmarks.suite import Benchmark, Contestant, Findings, Kind, Say, Sizes, interleaved

RATES = (200, 1000, 2000)
"""Entries a second; the gates are judged at the first."""

PARTS = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}

AT_MOST = {"p50": 1.3, "p99": 2.0}
"""Times the bare loop."""

RESULTS = "bench:latency"
"""The list of what was measured, microseconds."""

SCRIPT = (
    "GearsBuilder('StreamReader').foreach(lambda x: execute('evalsha', '{sha}', 1, '{results}', x['sent']))"
    ".register('{stream}')"
)

OURS = "Geartrain, batch 1"
BARE = "redis-py XREAD BLOCK loop"

Delays = Sequence[float]
Running = Callable[[Arena, str, str], object]


def measure(sizes: Sizes, say: Say) -> Findings:
    """Both in turn, at each rate; microseconds of each entry."""
    seconds = sizes.pick(3.0, 0.4)
    found: dict[int, dict[str, list[Delays]]] = {}
    with Arena(Sizes(quick=True)) as arena:
        sha = str(arena.redis.script_load(EFFECT))
        for rate in RATES:
            contestants = {
                name: Contestant(
                    lambda running=running, rate=rate: _delays(arena, sha, running, rate, seconds),
                    show=lambda delays: f"p50 {median(delays):.0f} us",
                )
                for name, running in ((OURS, _registration), (BARE, _loop))
            }
            found[rate] = interleaved(f"latency at {rate}/s", contestants, sizes.rounds, say).figures
    return findings(found)


def _delays(arena: Arena, sha: str, running: Callable[..., object], rate: int, seconds: float) -> Delays:
    pace = Pace(arena.redis, RESULTS, rate)
    with arena.stream() as stream, running(arena, stream, sha):
        return pace.delays(
            round(rate * seconds),
            lambda pipeline, clock: pipeline.xadd(stream, {"sent": clock, "customer": "c-000001", "total": "00019.99"}),
        )


@contextmanager
def _registration(arena: Arena, stream: str, sha: str) -> Iterator[None]:
    script = SCRIPT.replace("{stream}", stream).replace("{sha}", sha).replace("{results}", RESULTS)
    with arena.registered(script):
        yield


@contextmanager
def _loop(arena: Arena, stream: str, sha: str) -> Iterator[None]:
    with programs.running("xread_block", arena.url, stream, sha, RESULTS):
        yield


def findings(found: Mapping[int, Mapping[str, Sequence[Delays]]]) -> Findings:
    """Percentiles: of each round for ratios, of all rounds for the chart."""
    rows = []
    for rate, figures in found.items():
        for name, rounds in figures.items():
            middle = [median([percentile(delays, part) for delays in rounds]) for part in PARTS.values()]
            beside = [spread(_ratios(figures, name, PARTS[part])) for part in AT_MOST]
            rows.append([f"{name}, {rate:,}/s", *(f"{value:.0f}" for value in middle), *beside])
    headers = ("microseconds", *PARTS, *(f"{part} / bare loop (min..max)" for part in AT_MOST))
    lowest = RATES[0]
    gates = [
        Gate(
            f"{part} latency / bare XREAD BLOCK loop", bound, _ratios(found[lowest], OURS, PARTS[part]), at_least=False
        )
        for part, bound in AT_MOST.items()
    ]
    return Findings([Table(headers, rows)], gates, [_chart(rate, figures) for rate, figures in found.items()])


def _ratios(figures: Mapping[str, Sequence[Delays]], name: str, part: float) -> tuple[float, ...]:
    mine, bare = ([percentile(delays, part) for delays in figures[who]] for who in (name, BARE))
    return ratios(mine, bare)


def _chart(rate: int, figures: Mapping[str, Sequence[Delays]]) -> Lines:
    lines = {
        name: [
            (float(number), percentile([delay for delays in rounds for delay in delays], part))
            for number, part in enumerate(PARTS.values())
        ]
        for name, rounds in figures.items()
    }
    title = f"From XADD to effect, {rate:,} entries/s"
    return Lines(f"latency-{rate}", title, "", "microseconds", lines, tuple(PARTS), log="y")


_RATES = ", ".join(f"{rate:,}" for rate in RATES)

METHOD = f"""\
The producer writes its clock into the entry just before `XADD`. The effect is a script on the server that takes the
server's clock (the same machine) and keeps the difference. Both sides run the same script, one call for each entry. The
producer keeps an even pace, at {_RATES} entries a second; what it could not send in time it sends together. Percentiles
are medians over the rounds, in the charts those of all rounds together. The gates are judged at {RATES[0]} entries a
second.
"""

TRAPS = """\
* At a low rate most of the time is the wake-up of processes and threads: a machine that saves power, or is busy,
  shows more of itself than of the programs.
* The bare loop keeps no offset, and its one thread neither commits nor renews a lease.
* p99 of some hundred entries is made by a handful of them, and moves from round to round.
* At high rates the producer itself takes a good part of a core. Where a rate is more than a contestant can do, the
  figures are those of a queue that grows.
"""

BENCHMARK = Benchmark(
    name="latency",
    title="Latency from XADD to effect, under several loads",
    kind=Kind.GATE,
    contestants=(OURS, BARE),
    method=METHOD,
    traps=TRAPS,
    measure=measure,
)
