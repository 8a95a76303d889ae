"""Records a second of one worker process and of two, on one stream and on several."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from benchmarks.charts import Bars
from benchmarks.report import Table, count, spread
from benchmarks.stage import programs, workers
from benchmarks.stage.arena import SOURCE, Arena
from benchmarks.stage.processes import cpu
from benchmarks.stats import Gate, lesser, ratios
from benchmarks.suite import Benchmark, Contestant, Findings, Kind, Say, Sizes, interleaved
from geartrain import keys

STREAMS = 4

SCRIPT = "GearsBuilder('StreamReader').foreach({step}).register('bench:shared:*', batch=100)"

EMPTY, WORK = "empty function", "function of 10 us"
STEPS: Mapping[str, str] = {EMPTY: "lambda x: None", WORK: "lambda x: sum(range(800))"}

AT_LEAST = 1.6
"""Times one process, with two on two cores."""

_SETTLE = 1.0
"""Seconds after the first progress that do not count: processes share streams out that have just appeared."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one measurement found.

    Attributes:
        rate: records a second.
        server: cores that the server kept busy.
        workers: cores that the workers kept busy.
    """

    rate: float
    server: float
    workers: float


def _ours(step: str, streams: int, processes: int) -> str:
    return (
        f"Geartrain, {processes} process{'es' if processes > 1 else ''}, {step},"
        f" {streams} stream{'s' if streams > 1 else ''}"
    )


def _raw(processes: int) -> str:
    return f"raw XREAD, {processes} process{'es' if processes > 1 else ''}"


CASES = [(step, streams) for step, streams in ((EMPTY, 1), (EMPTY, STREAMS), (WORK, STREAMS))]


def measure(sizes: Sizes, say: Say) -> Findings:
    """All in turn; workers are started anew for each turn."""
    with Arena(sizes, processes=0) as arena:
        contestants = {
            **{_raw(processes): _contestant(_read(arena, processes)) for processes in (1, 2)},
            **{
                _ours(step, streams, processes): _contestant(_drain(arena, sizes, step, streams, processes))
                for step, streams in CASES
                for processes in (1, 2)
            },
        }
        rounds = interleaved("processes", contestants, sizes.at_most(3), say)
    return findings(rounds.figures)


def _contestant(run: Callable[[], Turn]) -> Contestant[Turn]:
    return Contestant(run, show=lambda turn: f"{turn.rate:,.0f}/s")


def _read(arena: Arena, processes: int) -> Callable[[], Turn]:
    def run() -> Turn:
        before, begin = cpu(arena.server.pid), time.perf_counter()
        with ThreadPoolExecutor(processes) as pool:
            args = ("raw_xread", arena.url, SOURCE, 1000, arena.window)
            answers = [pool.submit(programs.answer, *args) for _ in range(processes)]
            rate = sum(answer.result()["entries"] / answer.result()["seconds"] for answer in answers)
        # The server rests while the programs start.
        return Turn(rate, (cpu(arena.server.pid) - before) / min(arena.window, time.perf_counter() - begin), 0.0)

    return run


def _drain(arena: Arena, sizes: Sizes, step: str, streams: int, processes: int) -> Callable[[], Turn]:
    names = [f"bench:shared:{number}" for number in range(streams)]

    def run() -> Turn:
        with ExitStack() as stack:
            for name in names:
                arena.pour(name)
            stack.callback(arena.redis.unlink, *names)
            pids = stack.enter_context(workers.working(arena.url, processes))
            ids = stack.enter_context(arena.registered(SCRIPT.replace("{step}", STEPS[step])))
            looks: list[tuple[float, float, float]] = []

            def look() -> None:
                looks.append((cpu(arena.server.pid), sum(map(cpu, pids)), time.perf_counter()))

            rate = arena.rate(names, keys.group(ids[0]).decode(), skip=sizes.pick(_SETTLE, 0.0), begun=look)
            look()
            server, ours, seconds = (now - then for then, now in zip(*looks, strict=True))
            return Turn(rate, server / seconds, ours / seconds)

    return run


def findings(figures: Mapping[str, list[Turn]]) -> Findings:
    """Rates, with who kept the cores busy."""
    rates = {name: [turn.rate for turn in turns] for name, turns in figures.items()}
    gains = {_raw(2): ratios(rates[_raw(2)], rates[_raw(1)])}
    for case in CASES:
        gains[_ours(*case, 2)] = ratios(rates[_ours(*case, 2)], rates[_ours(*case, 1)])
    rows = [
        [name, count(median(rates[name])), spread(gains[name]) if name in gains else "",
         f"{median(turn.server for turn in turns):.2f}",
         f"{median(turn.workers for turn in turns):.2f}" if name.startswith("Geartrain") else ""]
        for name, turns in figures.items()
    ]  # fmt: skip
    limit = lesser(AT_LEAST, gains[_raw(2)])
    empty, work = (gains[_ours(step, STREAMS, 2)] for step in (EMPTY, WORK))
    return Findings(
        [Table(("records/s", "median", "2 processes / 1 (min..max)", "cores of the server", "of the workers"), rows)],
        [
            Gate(f"2 processes / 1, {WORK}, {STREAMS} streams", AT_LEAST, work),
            Gate(
                f"2 processes / 1, {EMPTY}, {STREAMS} streams / least of {AT_LEAST:g} and raw",
                1.0,
                ratios(empty, limit),
            ),
        ],
        [Bars("processes", "One worker process, and two", "records/s", rates)],
    )


METHOD = f"""\
One server; each time one or two worker processes start, a registration of batch 100 finds one stream, or {STREAMS}, and
the clock runs from a second after the first progress, when the processes have shared the streams out. A function of
about 10 us leaves the server mostly idle: here two processes must reach {AT_LEAST:g} times one. With an empty function
one process reads so much that the server becomes the limit. What it can give to two is shown by two processes of raw
`XREAD`: the gate asks for the lesser of {AT_LEAST:g} and what these reach over one, in each round.
"""

TRAPS = """\
* Two processes and the server are three that want to run: on two cores, a server that is half busy leaves 1.5 cores
  to the workers. The last two columns show who had them.
* A stream belongs to one process at a time: on one stream a second process is there for the first one's death.
* The processor time of raw `XREAD`'s own processes is not shown.
"""

BENCHMARK = Benchmark(
    name="processes",
    title="Scaling in processes and streams",
    kind=Kind.GATE,
    contestants=[_raw(1), _raw(2), *(_ours(*case, processes) for case in CASES for processes in (1, 2))],
    method=METHOD,
    traps=TRAPS,
    measure=measure,
)
