"""The specification's stream example: keep each record's text under its id."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from benchmarks.arena import Arena
from benchmarks.report import Table, count, spread
from benchmarks.stats import Gate, ratios

SCRIPT = """
GearsBuilder('StreamReader').foreach(lambda x: execute('set', x['streamId'], str(x))).register('{stream}', batch=100)
"""

OURS = "Geartrain, batch 100"
LOOP = "redis-py loop that awaits each reply, COUNT 100"

Series = dict[str, list[float]]


def measure(arena: Arena, rounds: int, say: Callable[[str], None]) -> Series:
    """Both, one after the other, again and again."""
    runs: dict[str, Callable[[], float]] = {
        OURS: lambda: arena.registration_rate(SCRIPT),
        LOOP: lambda: arena.peer_rate("redis_loop", "100", "set"),
    }
    series: Series = {name: [] for name in runs}
    for number in range(1, rounds + 1):
        for name, run in runs.items():
            series[name].append(run())
            say(f"set {number}/{rounds}: {name}: {count(series[name][-1])}/s")
    return series


def tables(series: Series) -> list[Table]:
    """The figures."""
    rows = [
        [
            name,
            count(median(values)),
            f"{count(min(values))}..{count(max(values))}",
            spread(ratios(values, series[LOOP])),
        ]
        for name, values in series.items()
    ]
    headers = ("records/s", "median", "min..max", "/ loop (min..max)")
    return [Table("The specification's example: one SET for each record", "gate", headers, rows, METHOD, TRAPS)]


def gates(series: Series) -> list[Gate]:
    """What issue 2 asks for."""
    return [Gate("SET example, batch 100 / awaiting loop", 2, ratios(series[OURS], series[LOOP]))]


METHOD = """\
`foreach(lambda x: execute('set', x['streamId'], str(x)))`, beside a redis-py loop with the same dict, the same
`SET` and
one `XACK` for each read. Geartrain sends the commands of a batch together, because nobody can notice their replies; the
loop waits for each one. Measured as the throughput above.
"""

TRAPS = """\
* A loop with a pipeline of its own would be faster than the one here. It would also have to find out which record a
  refused command belongs to.
* Both write the same keys in each round: from the second time on, `SET` replaces.
"""
