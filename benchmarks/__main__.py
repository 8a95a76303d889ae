"""`python -m benchmarks`: all measurements in one run, against a server of its own.

Exit code 0 when everything could be measured; 1 when something broke, or with `--gates` when a gate was missed by more
than the noise that was measured.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cluster, keys, latency, scale, spec_example, throughput, writes
from benchmarks.arena import Arena, Broken
from benchmarks.page import Page, command
from benchmarks.stats import Verdict
from geartrain import GeartrainError


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long everything is measured.

    Attributes:
        entries: of the stream that is drained.
        keys: that `run()` goes over.
        window: seconds of one measurement of throughput.
        rounds: of the interleaved measurements.
        latency: seconds of one measurement of latency.
        sizes: how many registrations and streams.
        scale_rounds: rounds of those.
        idle: seconds without work.
    """

    entries: int
    keys: int
    window: float
    rounds: int
    latency: float
    sizes: dict[str, tuple[int, ...]]
    scale_rounds: int
    idle: float


FULL = Plan(
    entries=1_200_000,
    keys=1_000_000,
    window=2.0,
    rounds=5,
    latency=3.0,
    sizes={"registrations": (1, 100, 1000), "streams": (1, 100, 1000, 10_000)},
    scale_rounds=3,
    idle=10.0,
)

QUICK = Plan(
    entries=800_000,
    keys=300_000,
    window=1.5,
    rounds=2,
    latency=1.0,
    sizes={"registrations": (1, 1000), "streams": (1, 1000)},
    scale_rounds=1,
    idle=3.0,
)


def main() -> int:
    """Measure, print, and judge."""
    options = _options()
    plan = QUICK if options.quick else FULL
    try:
        page = run(plan)
    except (Broken, GeartrainError) as error:
        print(f"broken: {error}", file=sys.stderr)
        return 1
    print(page.text())
    if options.markdown:
        options.markdown.write_text(page.markdown(command()))
    missed = [gate.name for gate in page.gates if gate.verdict is Verdict.MISSED]
    return 1 if options.gates and missed else 0


def run(plan: Plan) -> Page:
    """All measurements."""
    begin = time.monotonic()
    with Arena(plan.entries, plan.window) as arena:
        rates = throughput.measure(arena, plan.rounds, _say)
        delays = latency.measure(arena, plan.rounds, plan.latency, _say)
        loads = scale.measure(arena, plan.sizes, plan.scale_rounds, plan.idle, _say)
        sets = spec_example.measure(arena, plan.rounds, _say)
        server = arena.redis.info("server")
    costs = writes.measure(plan.rounds, 2 * plan.window, _say)
    millions = keys.measure(plan.keys, plan.rounds, _say)
    shards = cluster.measure(plan.entries // 4, plan.rounds, _say)
    return Page(
        tables=[
            *throughput.tables(rates), *latency.tables(delays), *scale.tables(loads), *spec_example.tables(sets),
            *writes.tables(costs), *keys.tables(millions), *cluster.tables(shards),
        ],
        gates=[*throughput.gates(rates), *latency.gates(delays), *scale.gates(loads), *spec_example.gates(sets),
               *writes.gates(costs), *keys.gates(millions), *cluster.gates(shards)],
        server=server,
        rounds=plan.rounds,
        seconds=time.monotonic() - begin,
    )  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: under 90 seconds")
    parser.add_argument("--gates", action="store_true", help="fail where a gate is missed by more than the noise")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page there too")
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
