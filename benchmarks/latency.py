"""From `XADD` to the effect, at a low rate, beside the least that a program can do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from benchmarks.arena import Arena, Peer, wait_for
from benchmarks.report import Table, spread
from benchmarks.stats import Gate, percentile, ratios

RATE = 200
"""Entries a second."""

RESULTS = "bench:latency"
"""The list of what was measured, microseconds."""

EFFECT = """
local now = redis.call('TIME')
return redis.call('RPUSH', KEYS[1], string.format('%d', now[1] * 1000000 + now[2] - ARGV[1]))
"""

SCRIPT = (
    "GearsBuilder('StreamReader').foreach(lambda x: execute('evalsha', '{sha}', 1, '{results}', x['sent']))"
    ".register('{stream}')"
)

OURS = "Geartrain, batch 1"
BARE = "redis-py XREAD BLOCK loop"

Series = dict[str, list[list[float]]]


def measure(arena: Arena, rounds: int, seconds: float, say: Callable[[str], None]) -> Series:
    """Both, one after the other, again and again; microseconds of each entry, by round."""
    sha = str(arena.redis.script_load(EFFECT))
    series: Series = {OURS: [], BARE: []}
    for number in range(1, rounds + 1):
        for name, running in ((OURS, _registration), (BARE, _loop)):
            with arena.stream() as stream, running(arena, stream, sha):
                series[name].append(_send(arena, stream, round(RATE * seconds)))
            say(f"latency {number}/{rounds}: {name}: p50 {median(series[name][-1]):.0f} us")
    return series


@contextmanager
def _registration(arena: Arena, stream: str, sha: str) -> Iterator[None]:
    script = SCRIPT.replace("{stream}", stream).replace("{sha}", sha).replace("{results}", RESULTS)
    with arena.registered(script):
        yield


@contextmanager
def _loop(arena: Arena, stream: str, sha: str) -> Iterator[None]:
    with arena.peer(Peer("xread_block", (stream, sha, RESULTS))):
        yield


def _send(arena: Arena, stream: str, entries: int) -> list[float]:
    """Add entries at an even pace; what each took. The first ones wake everybody up and do not count."""
    _add(arena, stream)
    wait_for(lambda: bool(arena.redis.llen(RESULTS)), f"an effect of an entry in {stream}")
    warm = RATE // 4
    begin = time.perf_counter()
    for number in range(warm + entries):
        time.sleep(max(0.0, begin + number / RATE - time.perf_counter()))
        _add(arena, stream)
    total = 1 + warm + entries
    wait_for(lambda: arena.redis.llen(RESULTS) == total, f"the effects of {total} entries in {stream}")
    values = [float(value) for value in arena.redis.lrange(RESULTS, 1 + warm, -1)]
    arena.redis.delete(RESULTS)
    return values


def _add(arena: Arena, stream: str) -> None:
    arena.redis.xadd(stream, {"sent": time.time_ns() // 1000, "customer": "c-000001", "total": "00019.99"})


def tables(series: Series) -> list[Table]:
    """The figures."""
    rows = []
    for name, rounds in series.items():
        row = [name]
        for part in (0.5, 0.99):
            mine = [percentile(values, part) for values in rounds]
            bare = [percentile(values, part) for values in series[BARE]]
            row += [f"{median(mine):.0f}", spread(ratios(mine, bare))]
        rows.append(row)
    headers = ("microseconds", "p50", "/ bare loop (min..max)", "p99", "/ bare loop (min..max)")
    return [Table(f"Latency from XADD to effect, {RATE} entries/s", "gate", headers, rows, METHOD, TRAPS)]


def gates(series: Series) -> list[Gate]:
    """What issue 2 asks for."""
    halves = {name: [percentile(values, 0.5) for values in rounds] for name, rounds in series.items()}
    return [Gate("p50 latency / bare XREAD BLOCK loop", 2, ratios(halves[OURS], halves[BARE]), at_least=False)]


METHOD = """\
The producer writes its clock into the entry just before `XADD`. The effect is a script on the server that takes the
server's clock (the same machine) and keeps the difference. Both sides run the same script, one call for each entry.
"""

TRAPS = """\
* At a low rate most of the time is the wake-up of processes and threads: a machine that saves power, or is busy, shows
  more of itself than of the programs.
* The bare loop keeps no offset, and its one thread neither commits nor renews a lease.
* p99 of some hundred samples moves from run to run; it is no gate.
"""
