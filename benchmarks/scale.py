"""What silent registrations and streams cost: in throughput of a busy one, in idle CPU, in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from benchmarks.arena import Arena, wait_for
from benchmarks.processes import cpu, memory
from benchmarks.report import Table, count, spread
from benchmarks.stats import Gate, ratios
from geartrain import keys

IDLE_STREAMS = 1000
"""Streams at which a worker's idle CPU is a gate."""

REGISTRATIONS = """
for number in range({count} - 1):
    GearsBuilder('StreamReader').foreach(lambda x: None).register(f'bench:idle:{number}', batch=100)
GearsBuilder('StreamReader').foreach(lambda x: None).register('{stream}', batch=100)
"""

STREAMS = "GearsBuilder('StreamReader').foreach(lambda x: None).register('bench:many:*', batch=100)"

HOT = "bench:many:hot"


@dataclass(slots=True)
class Load:
    """What was measured with so many registrations or streams, one value for each round.

    Attributes:
        rates: records a second of the busy one.
        live: seconds until all were live, after the submission.
        cpu: percent of a core that the idle worker took.
        rss: bytes of memory of the worker.
    """

    rates: list[float] = field(default_factory=list)
    live: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    rss: list[float] = field(default_factory=list)


Series = dict[tuple[str, int], Load]


def measure(
    arena: Arena, sizes: dict[str, tuple[int, ...]], rounds: int, idle: float, say: Callable[[str], None]
) -> Series:
    """Each size, one after the other, again and again; `idle` seconds without work where that is a gate."""
    series: Series = {(what, size): Load() for what in sizes for size in sizes[what]}
    for number in range(1, rounds + 1):
        for (what, size), load in series.items():
            _one(arena, what, size, load, idle if number <= 2 and size >= IDLE_STREAMS else 0)
            say(f"scale {number}/{rounds}: {size} {what}: {count(load.rates[-1])}/s")
    return series


def _one(arena: Arena, what: str, size: int, load: Load, idle: float) -> None:
    with _ready(arena, what, size, load) as (stream, group):
        if idle:
            load.cpu.append(_idle_cpu(arena.pid, idle))
        arena.pour(stream)
        load.rates.append(arena.rate(stream, group))
        load.rss.append(memory(arena.pid))


@contextmanager
def _ready(arena: Arena, what: str, size: int, load: Load) -> Iterator[tuple[str, str]]:
    """So many of them, live; gives the stream to be made busy and its group."""
    if what == "streams":
        with _many_streams(arena, size), arena.registered(STREAMS) as ids:
            load.live.append(_wait_live(arena, ids, size - 1))
            yield HOT, keys.group(ids[0]).decode()
        return
    with arena.stream() as stream:
        script = REGISTRATIONS.replace("{count}", str(size)).replace("{stream}", stream)
        with arena.registered(script) as ids:
            load.live.append(_wait_live(arena, ids, size))
            yield stream, keys.group(ids[-1]).decode()


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
    time.sleep(1)
    before, begin = cpu(pid), time.monotonic()
    time.sleep(seconds)
    return 100 * (cpu(pid) - before) / (time.monotonic() - begin)


def tables(series: Series) -> list[Table]:
    """The figures."""
    rows = []
    for (what, size), load in series.items():
        alone = next(other for (kind, _), other in series.items() if kind == what)
        rows.append([
            f"{size:,} {what if size > 1 else what[:-1]}",
            count(median(load.rates)),
            spread(ratios(load.rates, alone.rates)),
            f"{median(load.live):.1f} s",
            f"{median(load.cpu):.1f} %" if load.cpu else "",
            f"{median(load.rss) / 1e6:.0f} MB",
        ])  # fmt: skip
    headers = ("one busy among", "records/s", "/ alone (min..max)", "live after", "idle CPU", "memory")
    return [Table("Many registrations, many streams", "gate", headers, rows, METHOD, TRAPS)]


def gates(series: Series) -> list[Gate]:
    """What issue 2 asks for."""
    idle = series["streams", IDLE_STREAMS].cpu
    return [Gate("idle CPU of a worker with 1000 streams", 3, tuple(idle), at_least=False, unit=" %")]


METHOD = """\
One worker process holds all of them; one stream is drained (batch 100, empty function), the others are silent. *Live
after*: from the submission until the worker has a lease on every stream. *Idle CPU*: user and system time of the worker
while nothing is written. *Memory*: resident, after the run, with the buffers that it filled.
"""

TRAPS = """\
* The worker is the same process from beginning to end: memory that a larger size took is not given back at once.
* A pattern is matched by scanning. A stream that appears is found within a second or so, which *live after* contains.
* CPU time is counted in ticks of 10 ms: over 10 s, 0.1 %.
"""
