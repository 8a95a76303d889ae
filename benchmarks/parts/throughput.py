"""Records a second of a registration with an empty `foreach`, beside what people write or use instead."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.charts import Bars
from benchmarks.report import rates_table
from benchmarks.stage.arena import RAW, Arena
from benchmarks.stats import Gate, fastest, ratios
from benchmarks.suite import Benchmark, Contestant, Findings, Kind, Rounds, Say, Sizes, interleaved

SCRIPT = "GearsBuilder('StreamReader').foreach(lambda x: None).register('{stream}', batch=%d)"

BATCHES = (1, 10, 100, 1000)
OURS = {batch: f"Geartrain, batch {batch}" for batch in BATCHES}
LOOP_100 = "redis-py XREADGROUP + XACK, COUNT 100"
LOOP_1000 = "redis-py XREADGROUP + XACK, COUNT 1000"
WALRUS = "walrus consumer group, COUNT 100"
FAST_ONE = "FastStream, one by one"
FAST_BATCH = "FastStream, batches of 100"
ORDER = (RAW, *OURS.values(), LOOP_100, LOOP_1000, WALRUS, FAST_BATCH, FAST_ONE)

AT_LEAST_RAW = {1: 0.40, 100: 0.65, 1000: 0.65}
"""Shares of raw XREAD, by batch."""

AT_LEAST_LOOP = 4.0
"""Times the faster redis-py loop, at batch 100 and more."""


def measure(sizes: Sizes, say: Say) -> Findings:
    """All contestants in turn, ours between the others."""
    with Arena(sizes) as arena:
        rounds = interleaved("throughput", _contestants(arena), sizes.rounds, say)
    return findings(rounds)


def _contestants(arena: Arena) -> Mapping[str, Contestant[float]]:
    def ours(batch: int) -> Contestant[float]:
        return Contestant(lambda: arena.registration_rate(SCRIPT % batch))

    def peer(*args: object, optional: bool = False) -> Contestant[float]:
        return Contestant(lambda: arena.peer_rate(*map(str, args)), optional)

    return {
        RAW: Contestant(arena.raw_rate),
        OURS[1]: ours(1),
        LOOP_100: peer("redis_loop", 100),
        OURS[10]: ours(10),
        FAST_ONE: peer("faststream_app", optional=True),
        OURS[100]: ours(100),
        LOOP_1000: peer("redis_loop", 1000),
        WALRUS: peer("walrus_loop", 100, optional=True),
        OURS[1000]: ours(1000),
        FAST_BATCH: peer("faststream_app", 100, optional=True),
    }


def findings(rounds: Rounds[float]) -> Findings:
    """The figures, each as a ratio to its alternatives."""
    figures = {name: rounds[name] for name in ORDER if name in rounds.figures}
    columns = {
        "/ raw": RAW, "/ loop 100": LOOP_100, "/ loop 1000": LOOP_1000, "/ FastStream 1": FAST_ONE,
        "/ FastStream 100": FAST_BATCH,
    }  # fmt: skip
    loop = fastest(rounds[LOOP_100], rounds[LOOP_1000])
    return Findings(
        [rates_table("records/s", figures, columns)],
        [
            *(
                Gate(f"batch {n} / raw XREAD", at, ratios(rounds[OURS[n]], rounds[RAW]))
                for n, at in AT_LEAST_RAW.items()
            ),
            *(
                Gate(f"batch {n} / the faster redis-py loop", AT_LEAST_LOOP, ratios(rounds[OURS[n]], loop))
                for n in (100, 1000)
            ),
        ],
        [Bars("throughput", "Empty function, three-field records", "records/s", figures)],
        rounds.notes,
    )


METHOD = """\
Each contestant drains a copy of one stream of three-field entries (`order`, `customer`, `total`: 60 bytes, ids made by
the server), in one process of its own, on the same server. Geartrain is one worker process, as `geartrain worker`
starts it. A copy of the stream appears under the registration's name; the clock runs from the first commit that is seen
from outside (`XINFO GROUPS`: entries read that are not pending) to the last one in the window of two seconds, so
start-up does not count. All but raw `XREAD` are measured in this way; it has no group, and counts by itself.
"""

TRAPS = """\
* Server, contestant and the process that watches share the machine's cores. With two cores, a contestant with several
  busy threads competes with the server that feeds it.
* Geartrain commits every 50 ms; what it has executed since does not count. The others acknowledge each read.
* The redis-py and walrus loops run the function in the thread that reads: no failure policy, no leases, no
  statistics. What is pending when they die must be claimed by somebody.
* FastStream decodes each entry to JSON and back, validates it, and calls an `async` handler through its middlewares.
  It reads 100 entries at once in both modes and logs nothing for a message.
* The stream is in memory, nobody else writes, and the function does nothing: with a function that does something, all
  contestants come closer together.
"""

BENCHMARK = Benchmark(
    name="throughput",
    title="Throughput by batch size, empty function",
    kind=Kind.GATE,
    contestants=ORDER,
    method=METHOD,
    traps=TRAPS,
    measure=measure,
)
