"""Records a second of pipelines of more than one step."""

from __future__ import annotations

from statistics import median

from benchmarks.charts import Lines
from benchmarks.report import rates_table
from benchmarks.stage.arena import RAW, Arena
from benchmarks.stats import Gate, ratios
from benchmarks.suite import Benchmark, Contestant, Findings, Kind, Say, Sizes, interleaved

MAPS = (0, 1, 2, 5, 10, 20)
"""Steps before the `foreach`."""

PIPELINE = "Geartrain, map, filter, foreach"
ONE_BY_ONE = "Geartrain, map, filter, foreach, batch 1"
OURS = {count: f"Geartrain, {count} map{'' if count == 1 else 's'}, foreach" for count in MAPS}

AT_LEAST = 0.45
"""Share of raw XREAD of the pipeline of three steps."""

_SCRIPT = "GearsBuilder('StreamReader'){steps}.foreach(lambda x: None).register('{stream}', batch={batch})"
_THREE = ".map(lambda x: x['customer']).filter(lambda x: x != 'c-000000')"


def script(steps: str, batch: int = 100) -> str:
    """A registration of these steps and an empty `foreach`."""
    return _SCRIPT.replace("{steps}", steps).replace("{batch}", str(batch))


def measure(sizes: Sizes, say: Say) -> Findings:
    """Raw XREAD and all pipelines in turn."""
    with Arena(sizes) as arena:

        def ours(steps: str, batch: int = 100) -> Contestant[float]:
            return Contestant(lambda: arena.registration_rate(script(steps, batch)))

        contestants = {
            RAW: Contestant(arena.raw_rate),
            PIPELINE: ours(_THREE),
            ONE_BY_ONE: ours(_THREE, 1),
            **{OURS[count]: ours(".map(lambda x: x)" * count) for count in MAPS},
        }
        rounds = interleaved("steps", contestants, sizes.rounds, say)
    line = [(count + 1.0, median(rounds[OURS[count]])) for count in MAPS]
    return Findings(
        [rates_table("records/s", rounds.figures, {"/ raw": RAW, "/ no map": OURS[0]})],
        [Gate("map, filter, foreach, batch 100 / raw XREAD", AT_LEAST, ratios(rounds[PIPELINE], rounds[RAW]))],
        [Lines("steps", "Steps that do nothing, batch 100", "steps", "records/s", {"Geartrain": line})],
    )


METHOD = """\
As the throughput above, with more steps. *map, filter, foreach* takes a field of each record, compares it with a string
(all but one record in 5,000 pass), and hands it to an empty function. *n maps* are functions that return what they get.
"""

TRAPS = """\
* Each step is a call of a Python function for each record, some 30 to 50 ns of which nobody can spare: the more
  steps, the less does anything but Python count.
* A step that makes less of a record (one field instead of three) makes those after it cheaper.
"""

BENCHMARK = Benchmark(
    name="steps",
    title="Throughput by number of steps",
    kind=Kind.GATE,
    contestants=(RAW, PIPELINE, ONE_BY_ONE, *OURS.values()),
    method=METHOD,
    traps=TRAPS,
    measure=measure,
)
