"""What silent registrations and streams cost: in throughput of a busy one, and in idle CPU."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from benchmarks.charts import Lines
from benchmarks.report import Table, count, spread
from benchmarks.stage.arena import Arena
from benchmarks.stage.processes import cpu
from benchmarks.stage.watching import wait_for
from benchmarks.stats import Gate, ratios
from benchmarks.suite import Benchmark, Contestant, Findings, Kind, Say, Sizes, interleaved
from geartrain import keys

IDLE_AT_MOST = 3.0
"""Percent of a core that an idle worker may take, with IDLE_SIZE registrations or streams."""

IDLE_SIZE = 1000

REGISTRATIONS = """
for number in range({count} - 1):
    GearsBuilder('StreamReader').foreach(lambda x: None).register(f'bench:idle:{number}', batch=100)
GearsBuilder('StreamReader').foreach(lambda x: None).register('{stream}', batch=100)
"""

STREAMS = "GearsBuilder('StreamReader').foreach(lambda x: None).register('bench:many:*', batch=100)"

HOT = "bench:many:hot"


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many of them, of which one is busy.

    Attributes:
        what: `registrations` or `streams`.
        size: how many.
    """

    what: str
    size: int

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.size:,} {self.what if self.size > 1 else self.what[:-1]}"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one measurement found.

    Attributes:
        rate: records a second of the busy one.
        live: seconds until all were live, after the submission.
        idle: percent of a core that the idle worker took; None: not measured.
    """

    rate: float
    live: float
    idle: float | None


CROWDS = [
    *(Crowd("registrations", size) for size in (1, 100, IDLE_SIZE)),
    *(Crowd("streams", size) for size in (1, 100, IDLE_SIZE, 10_000)),
]
QUICK_CROWDS = [Crowd(what, size) for what in ("registrations", "streams") for size in (1, IDLE_SIZE)]


def measure(sizes: Sizes, say: Say) -> Findings:
    """Each size in turn."""
    seconds = sizes.pick(3.0, 0.5)
    with Arena(sizes) as arena:
        contestants = {
            crowd.name: Contestant(
                lambda crowd=crowd: _turn(arena, crowd, seconds),
                show=lambda turn: f"{turn.rate:,.0f}/s",
            )
            for crowd in sizes.pick(CROWDS, QUICK_CROWDS)
        }
        figures = interleaved("many", contestants, sizes.at_most(3), say).figures
    return findings({crowd: figures[crowd.name] for crowd in CROWDS if crowd.name in figures})


def _turn(arena: Arena, crowd: Crowd, seconds: float) -> Turn:
    with _ready(arena, crowd) as (stream, group, live):
        idle = _idle_cpu(arena.pids[0], seconds) if crowd.size >= IDLE_SIZE else None
        arena.pour(stream)
        return Turn(arena.rate([stream], group), live, idle)


@contextmanager
def _ready(arena: Arena, crowd: Crowd) -> Iterator[tuple[str, str, float]]:
    """So many of them, live; gives the stream to be made busy, its group, and the seconds that it took."""
    if crowd.what == "streams":
        with _many_streams(arena, crowd.size), arena.registered(STREAMS) as ids:
            yield HOT, keys.group(ids[0]).decode(), _wait_live(arena, ids, crowd.size - 1)
        return
    with arena.stream() as stream:
        script = REGISTRATIONS.replace("{count}", str(crowd.size)).replace("{stream}", stream)
        with arena.registered(script) as ids:
            # The busy one's stream comes later.
            yield stream, keys.group(ids[-1]).decode(), _wait_live(arena, ids, crowd.size)


@contextmanager
def _many_streams(arena: Arena, size: int) -> Iterator[None]:
    """Streams of one entry each; the busy one comes later."""
    names = [f"bench:many:{number}" for number in range(size - 1)]
    for start in range(0, len(names), 1000):
        pipeline = arena.redis.pipeline(transaction=False)
        for name in names[start : start + 1000]:
            pipeline.xadd(name, {"order": "000000000", "customer": "c-000000", "total": "00000.00"})
        pipeline.execute()
    try:
        yield
    finally:
        for start in range(0, size, 1000):
            arena.redis.unlink(HOT, *names[start : start + 1000])


def _wait_live(arena: Arena, ids: list[str], partitions: int) -> float:
    """Wait until the worker has them all; the seconds that it took."""

    def live() -> bool:
        pipeline = arena.redis.pipeline(transaction=False)
        for name in ids:
            pipeline.scard(keys.streams(name))
        return sum(pipeline.execute()) >= partitions

    return wait_for(live, f"{partitions} partitions")


def _idle_cpu(pid: int, seconds: float) -> float:
    """Percent of a core that a process uses while nothing happens, after a moment for what has just happened."""
    time.sleep(min(1.0, seconds))
    before, begin = cpu(pid), time.monotonic()
    time.sleep(seconds)
    return 100 * (cpu(pid) - before) / (time.monotonic() - begin)


def findings(found: Mapping[Crowd, Sequence[Turn]]) -> Findings:
    """Rates beside that of one alone."""
    alone = {crowd.what: _rates(found[crowd]) for crowd in found if crowd.size == 1}
    rows, lines, gates = [], {}, []
    for crowd, turns in found.items():
        idle = tuple(turn.idle for turn in turns if turn.idle is not None)
        rows.append([
            crowd.name, count(median(_rates(turns))), spread(ratios(_rates(turns), alone[crowd.what])),
            f"{median(turn.live for turn in turns):.1f} s", f"{median(idle):.1f} %" if idle else "",
        ])  # fmt: skip
        lines.setdefault(f"Geartrain, {crowd.what}", []).append((float(crowd.size), median(_rates(turns))))
        if crowd.size == IDLE_SIZE:
            gates.append(Gate(f"idle CPU of a worker with {crowd.name}", IDLE_AT_MOST, idle, at_least=False, unit=" %"))
    headers = ("one busy among", "records/s", "/ alone (min..max)", "live after", "idle CPU")
    chart = Lines("many", "One busy among many", "how many", "records/s", lines, log="x")
    return Findings([Table(headers, rows)], gates, [chart])


def _rates(turns: Sequence[Turn]) -> list[float]:
    return [turn.rate for turn in turns]


METHOD = """\
One worker process holds all of them; one stream is drained (batch 100, empty function), the others are silent. *Live
after*: from the submission until the worker has a lease on every stream. *Idle CPU*: user and system time of the worker
while nothing is written.
"""

TRAPS = """\
* A pattern is matched by scanning. A stream that appears is found within a second or so, which *live after* contains.
* CPU time is counted in ticks of 10 ms: over 3 s, 0.3 %.
* The worker is the same process from beginning to end: `footprint` below has what memory they take.
"""

BENCHMARK = Benchmark(
    name="many",
    title="Scaling in registrations and streams",
    kind=Kind.GATE,
    contestants=[crowd.name for crowd in CROWDS],
    method=METHOD,
    traps=TRAPS,
    measure=measure,
)
