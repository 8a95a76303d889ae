"""Records a second by the size of a record: short and long values, few and many fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from benchmarks.charts import Lines
from benchmarks.report import Table, count, spread
from benchmarks.stage.arena import Arena, Fields
from benchmarks.stats import ratios
from benchmarks.suite import Benchmark, Contestant, Findings, Kind, Say, Sizes, interleaved

SCRIPT = "GearsBuilder('StreamReader').foreach(lambda x: None).register('{stream}', batch=100)"


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of record.

    Attributes:
        fields: how many.
        value: bytes of each value.
    """

    fields: int
    value: int

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.fields} field{'s' if self.fields > 1 else ''} of {self.value:,} bytes"

    def entries(self, sizes: Sizes) -> int:
        """Of its stream: a multiple of 1,000; large records are fewer."""
        fit = sizes.pick(60_000_000, 15_000_000) // (self.fields * self.value)
        return max(LEAST_ENTRIES, min(MOST_ENTRIES, sizes.entries, fit) // 1000 * 1000)

    @property
    def make(self) -> Fields:
        """Its fields; values differ from record to record."""

        def fields(number: int) -> list[str]:
            text = f"{number:010d}".ljust(self.value, "x")[: self.value]
            return [item for index in range(self.fields) for item in (f"f{index:02d}", text)]

        return fields


SHAPES = (Shape(1, 10), Shape(3, 10), Shape(10, 10), Shape(30, 10), Shape(3, 100), Shape(3, 1000), Shape(3, 10_000))

QUICK_SHAPES = (Shape(1, 10), Shape(3, 10), Shape(3, 1000))

LEAST_ENTRIES, MOST_ENTRIES = 5000, 400_000
"""Entries of a stream, however large or small they are: making them takes longer than reading them."""

WHO = ("raw XREAD", "Geartrain, batch 100", "redis-py loop, COUNT 100")
RAW, OURS, LOOP = WHO


def measure(sizes: Sizes, say: Say) -> Findings:
    """For each shape all three in turn."""
    with Arena(Sizes(sizes.rounds, quick=True)) as arena:
        arena.window = sizes.window / 2
        found = {}
        for shape in sizes.pick(SHAPES, QUICK_SHAPES):
            source = f"bench:source:{shape.fields}:{shape.value}"
            arena.fill(source, shape.entries(sizes), shape.make)
            found[shape] = interleaved(shape.name, _contestants(arena, source), sizes.at_most(3), say).figures
            arena.redis.unlink(source)
    return findings(found)


def _contestants(arena: Arena, source: str) -> Mapping[str, Contestant[float]]:
    return {
        RAW: Contestant(lambda: arena.raw_rate(source)),
        OURS: Contestant(lambda: arena.registration_rate(SCRIPT, source)),
        LOOP: Contestant(lambda: arena.peer_rate("redis_loop", 100, source=source)),
    }


def findings(found: Mapping[Shape, Mapping[str, list[float]]]) -> Findings:
    """Rates, and bytes a second."""
    rows = [
        [shape.name, *(count(median(figures[name])) for name in WHO),
         f"{median(figures[OURS]) * shape.fields * shape.value / 1e6:.0f} MB/s",
         spread(ratios(figures[OURS], figures[RAW])), spread(ratios(figures[OURS], figures[LOOP]))]
        for shape, figures in found.items()
    ]  # fmt: skip
    headers = ("record", *WHO, "values of Geartrain", "/ raw (min..max)", "/ loop (min..max)")
    by_size = {
        name: [(float(shape.value), median(figures[name])) for shape, figures in found.items() if shape.fields == 3]
        for name in WHO
    }
    by_fields = {
        name: [(float(shape.fields), median(figures[name])) for shape, figures in found.items() if shape.value == 10]
        for name in WHO
    }
    return Findings(
        [Table(headers, rows)],
        charts=[
            Lines("value-size", "Records of three fields", "bytes of each value", "records/s", by_size, log="xy"),
            Lines("fields", "Values of 10 bytes", "fields of a record", "records/s", by_fields, log="xy"),
        ],
    )


METHOD = """\
As the throughput above, for records of several shapes; batch 100, empty function. The names of the fields have three
bytes. A stream has 400,000 records, or fewer where these are large; one measurement lasts a second at the most.
"""

TRAPS = """\
* A record becomes a dict with a Python string for each value: many fields cost more than many bytes.
* Fast contestants are through with the streams of large records within a fraction of a second: these ratios move more
  from round to round.
"""

BENCHMARK = Benchmark(
    name="recordsize",
    title="Throughput by record size",
    kind=Kind.INFORMATIONAL,
    contestants=WHO,
    method=METHOD,
    traps=TRAPS,
    measure=measure,
)
