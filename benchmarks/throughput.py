"""Records a second of a registration with an empty `foreach`, beside what people write or use instead."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from benchmarks.arena import SOURCE, Arena, Broken, Peer
from benchmarks.report import Table, count, count_range
from benchmarks.stats import Gate, fastest, ratios

SCRIPT = "GearsBuilder('StreamReader').foreach(lambda x: None).register('{stream}', batch=%d)"

RAW = "raw XREAD COUNT 1000, nothing parsed"
LOOP_100 = "redis-py XREADGROUP + XACK, COUNT 100"
LOOP_1000 = "redis-py XREADGROUP + XACK, COUNT 1000"
FAST_ONE = "FastStream, one by one"
FAST_BATCH = "FastStream, batches of 100"
BATCHES = (1, 10, 100, 1000)

Series = dict[str, list[float]]


def ours(batch: int) -> str:
    """The name of our contestant with that batch."""
    return f"Geartrain, batch {batch}"


def contestants() -> Mapping[str, Callable[[Arena], float]]:
    """Who is measured, in the order of each round: ours between the others."""
    found: dict[str, Callable[[Arena], float]] = {
        RAW: raw,
        ours(1): _ours(1),
        LOOP_100: lambda arena: arena.peer_rate("redis_loop", "100"),
        ours(10): _ours(10),
        FAST_ONE: lambda arena: arena.peer_rate("faststream_app"),
        ours(100): _ours(100),
        LOOP_1000: lambda arena: arena.peer_rate("redis_loop", "1000"),
        ours(1000): _ours(1000),
        FAST_BATCH: lambda arena: arena.peer_rate("faststream_app", "100"),
    }
    return found


def _ours(batch: int) -> Callable[[Arena], float]:
    return lambda arena: arena.registration_rate(SCRIPT % batch)


def raw(arena: Arena) -> float:
    """The server's limit: it has no group to be watched, and counts by itself."""
    with arena.peer(Peer("raw_xread", (SOURCE, "1000", str(arena.window)))) as process:
        output, _ = process.communicate()
    if process.returncode:
        raise Broken(f"raw_xread: exit code {process.returncode}")
    result = json.loads(output)
    return float(result["entries"] / result["seconds"])


def measure(arena: Arena, rounds: int, say: Callable[[str], None]) -> Series:
    """All contestants, one after the other, again and again."""
    series: Series = {name: [] for name in contestants()}
    for number in range(1, rounds + 1):
        for name, run in contestants().items():
            series[name].append(run(arena))
            say(f"throughput {number}/{rounds}: {name}: {count(series[name][-1])}/s")
    return series


def tables(series: Series) -> list[Table]:
    """The figures, and each as a ratio to its alternatives."""
    order = [RAW, *map(ours, BATCHES), LOOP_100, LOOP_1000, FAST_ONE, FAST_BATCH]
    rows = [
        [name, count(median(series[name])), count_range(series[name]),
         *(_ratio(series[name], series[other]) for other in (RAW, LOOP_100, LOOP_1000, FAST_ONE, FAST_BATCH))]
        for name in order
    ]  # fmt: skip
    headers = (
        "records/s",
        "median",
        "min..max",
        "/ raw",
        "/ loop 100",
        "/ loop 1000",
        "/ FastStream 1",
        "/ FastStream 100",
    )
    return [Table("Throughput, empty function", "gate", headers, rows, METHOD, TRAPS)]


def _ratio(mine: Sequence[float], other: Sequence[float]) -> str:
    return f"{median(ratios(mine, other)):.2f}"


def gates(series: Series) -> list[Gate]:
    """What issue 2 asks for."""
    loop, by_batch = fastest(series[LOOP_100], series[LOOP_1000]), series[FAST_BATCH]
    made = []
    for batch in (100, 1000):
        mine = series[ours(batch)]
        made.append(Gate(f"batch {batch} / the faster redis-py loop", 1.5, ratios(mine, loop)))
        made.append(Gate(f"batch {batch} / FastStream in batches", 4, ratios(mine, by_batch)))
    mine = series[ours(1)]
    made.append(Gate("batch 1 / redis-py loop COUNT 100", 0.7, ratios(mine, series[LOOP_100])))
    made.append(Gate("batch 1 / FastStream one by one", 30, ratios(mine, series[FAST_ONE])))
    return made


METHOD = """\
Each contestant drains a copy of one stream of three-field entries (`order`, `customer`, `total`: 60 bytes, ids made by
the server), in one process of its own, on the same server. Geartrain is one worker process, as `geartrain
worker` starts
it. A copy of the stream appears under the registration's name; the clock runs from the first commit that is seen from
outside (`XINFO GROUPS`: entries read that are not pending) to the last one in the window, so start-up does not count.
All but raw `XREAD` are measured in this way; it has no group, and counts by itself. Ratios are taken round by
round, and
their median is shown.
"""

TRAPS = """\
* Server, contestant and the process that watches share the machine's cores. With two cores, a contestant with several
  busy threads competes with the server that feeds it.
* Geartrain commits every 50 ms; what it has executed since does not count. The others acknowledge each read.
* The redis-py loop runs the function in the thread that reads: no failure policy, no leases, no statistics. What is
  pending when it dies must be claimed by somebody.
* FastStream decodes each entry to JSON and back, validates it, and calls an `async` handler through its middlewares. It
  reads 100 entries at once in both modes and logs nothing for a message.
* The stream is in memory, nobody else writes, and the function does nothing: with a function that does something, all
  contestants come closer together.
"""
