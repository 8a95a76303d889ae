"""The specification's stream example: keep each record's text under its id."""

from __future__ import annotations

from benchmarks.charts import Bars
from benchmarks.report import rates_table
from benchmarks.stage.arena import RAW, Arena
from benchmarks.stats import Gate, ratios
from benchmarks.suite import Benchmark, Contestant, Findings, Kind, Say, Sizes, interleaved

SCRIPT = """
GearsBuilder('StreamReader').foreach(lambda x: execute('set', x['streamId'], str(x))).register('{stream}', batch=100)
"""

OURS = "Geartrain, batch 100"
LOOP = "redis-py loop that awaits each reply, COUNT 100"

AT_LEAST_LOOP = 5.0

AT_LEAST_RAW = 200_000 / 900_000
"""200,000 records a second on a machine where raw XREAD gives 900,000."""


def measure(sizes: Sizes, say: Say) -> Findings:
    """All in turn."""
    with Arena(sizes) as arena:
        contestants = {
            RAW: Contestant(arena.raw_rate),
            OURS: Contestant(lambda: arena.registration_rate(SCRIPT)),
            LOOP: Contestant(lambda: arena.peer_rate("redis_loop", 100, "set")),
        }
        rounds = interleaved("setexample", contestants, sizes.rounds, say)
    return Findings(
        [rates_table("records/s", rounds.figures, {"/ raw": RAW, "/ loop": LOOP})],
        [
            Gate("SET for each record, batch 100 / awaiting loop", AT_LEAST_LOOP, ratios(rounds[OURS], rounds[LOOP])),
            Gate("SET for each record, batch 100 / raw XREAD", AT_LEAST_RAW, ratios(rounds[OURS], rounds[RAW])),
        ],
        [Bars("setexample", "One SET for each record", "records/s", rounds.figures)],
    )


METHOD = """\
`foreach(lambda x: execute('set', x['streamId'], str(x)))`, beside a redis-py loop with the same dict, the same `SET`
and one `XACK` for each read. Geartrain sends the commands of a batch together, because nobody can notice their replies;
the loop waits for each one. Measured as the throughput above. The gate beside raw `XREAD` is 200,000 records/s on a
machine where raw `XREAD` gives 900,000.
"""

TRAPS = """\
* A loop with a pipeline of its own would be faster than the one here. It would also have to find out which record a
  refused command belongs to.
* All write the same keys in each round: from the second time on, `SET` replaces.
"""

BENCHMARK = Benchmark(
    name="setexample",
    title="The specification's example: one SET for each record",
    kind=Kind.GATE,
    contestants=(RAW, OURS, LOOP),
    method=METHOD,
    traps=TRAPS,
    measure=measure,
)
