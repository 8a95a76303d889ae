"""A task for each event: what people use who put each event into a task queue."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks.charts import Bars
from benchmarks.peers.counting import DONE
from benchmarks.report import Table, count, spread
from benchmarks.stage import programs, watching
from benchmarks.stage.arena import Arena, order
from benchmarks.stats import ratios
from benchmarks.suite import Benchmark, Contestant, Findings, Kind, Rounds, Say, Sizes, interleaved

SCRIPT = "GearsBuilder('StreamReader').foreach(lambda x: None).register('{stream}')"

OURS = "Geartrain, batch 1"
PEERS = {"arq": "arq_tasks", "taskiq-redis, list": "taskiq_tasks", "dramatiq": "dramatiq_tasks"}


@dataclass(frozen=True, slots=True)
class Turn:
    """What one measurement found.

    Attributes:
        given: events that a client gives away, a second.
        done: events that a worker is through with, a second.
    """

    given: float
    done: float


def measure(sizes: Sizes, say: Say) -> Findings:
    """All in turn."""
    tasks = sizes.pick(5000, 1000)
    with Arena(Sizes(quick=True)) as arena:
        arena.window = sizes.pick(3.0, 1.0)
        runs = {OURS: _ours(arena, tasks)} | {name: _peer(arena, module, tasks) for name, module in PEERS.items()}
        contestants = {
            name: Contestant(run, optional=name != OURS, show=lambda turn: f"{turn.done:,.0f}/s")
            for name, run in runs.items()
        }
        return findings(interleaved("tasks", contestants, sizes.at_most(3), say))


def _ours(arena: Arena, tasks: int) -> Callable[[], Turn]:
    def run() -> Turn:
        with arena.stream() as stream:
            begin = time.perf_counter()
            for number in range(tasks):
                arena.redis.execute_command("XADD", stream, "*", *order(number))
            given = tasks / (time.perf_counter() - begin)
        return Turn(given, arena.registration_rate(SCRIPT))

    return run


def _peer(arena: Arena, module: str, tasks: int) -> Callable[[], Turn]:
    def run() -> Turn:
        arena.redis.delete(DONE)
        python = programs.OWN_ENVIRONMENT
        seconds = programs.answer(module, arena.url, "enqueue", tasks, python=python)["seconds"]
        with programs.running(module, arena.url, "work", python=python) as alive:
            done = watching.rate(lambda: int(arena.redis.get(DONE) or 0), tasks, arena.window, alive=alive)
        return Turn(tasks / seconds, done)

    return run


def findings(rounds: Rounds[Turn]) -> Findings:
    """Both rates."""
    done = {name: [turn.done for turn in turns] for name, turns in rounds.figures.items()}
    rows = [
        [name, count(median(done[name])), spread(ratios(done[OURS], done[name])),
         count(median(turn.given for turn in turns))]
        for name, turns in rounds.figures.items()
    ]  # fmt: skip
    headers = ("events/s", "done", "Geartrain / it (min..max)", "given by one client")
    chart = Bars("tasks", "A task for each event, one worker process", "events/s", done)
    return Findings([Table(headers, rows)], charts=[chart], notes=rounds.notes)


METHOD = """\
Each event is one task, whose function only counts. A client gives them away one after the other, with the API that the
queue has for it (Geartrain: `XADD`, redis-py); then one worker process of the queue starts and does them. Twenty times
a second it tells how many are done; as everywhere, the clock starts with the first progress. Geartrain drains the
stream of 200,000 orders as above, one by one.
"""

TRAPS = """\
* Task queues do more for a task than Geartrain for a record: results, retries with delays, priorities, time limits.
  They are made for tasks that take long; this is what they cost where tasks do not.
* The queues run in an environment of their own, with an older redis-py (`benchmarks/peers/requirements.txt`).
* Queues keep tasks in no order that must be kept, so several tasks run at the same time; Geartrain's batches of one
  record come one after the other.
"""

BENCHMARK = Benchmark(
    name="tasks",
    title="A task for each event",
    kind=Kind.INFORMATIONAL,
    contestants=(OURS, *PEERS),
    method=METHOD,
    traps=TRAPS,
    measure=measure,
)
