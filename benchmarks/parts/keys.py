"""`run()` over a million keys of one server, beside the loop that people write instead."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from benchmarks import keyfunctions
from benchmarks.arena import ROOT, Broken, show_trouble, wait_for
from benchmarks.processes import cpu
from benchmarks.report import Table, spread
from benchmarks.stats import Gate, ratios
from geartrain import Client
from geartrain.config import WorkerSettings
from geartrain.server import EmbeddedServer
from geartrain.wire import Endpoint, Link
from geartrain.wire.link import PIPELINE
from geartrain.worker.supervisor import Supervisor

WORKERS = 2

REFERENCE = 680_000
"""Pipelined `SET`s a second of the machine for which the absolute bounds were set."""

BOUNDS = {"count": 3.8 / 3, "sum": 4.6 / 3}
"""Seconds for a million keys, on that machine."""

FASTER = {"count": 5, "sum": 2}
"""How many times as fast as the loop, with workers."""

SCRIPTS = {
    "count": "GB().count().run()",
    "sum": f"""
{inspect.getsource(keyfunctions)}
GB().map(lambda x: amount(x['value'])).aggregate(0, add, add).run()
""",
}


@dataclass(slots=True)
class Case:
    """What was measured with so many workers, one value for each round.

    Attributes:
        loop: seconds of the redis-py loop.
        ours: seconds of `run()`.
        sets: pipelined `SET`s a second of a bare server, in the same round.
        loop_cpu: seconds of processor time that loop and server used.
        our_cpu: the same of worker processes, caller and server.
    """

    loop: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    sets: list[float] = field(default_factory=list)
    loop_cpu: list[float] = field(default_factory=list)
    our_cpu: list[float] = field(default_factory=list)


Series = dict[tuple[int, str], Case]
"""By the number of workers, and what was done."""


def measure(keys: int, rounds: int, say: Callable[[str], None]) -> Series:
    """Both, one after the other, again and again; first without workers, then with them."""
    series: Series = {(workers, what): Case() for workers in (0, WORKERS) for what in SCRIPTS}
    with EmbeddedServer.start(module=False) as server, EmbeddedServer.start(module=False) as bare:
        _fill(server.url, keys)
        for workers in (0, WORKERS):
            with _working(server.url, workers) as pids:
                for number in range(1, rounds + 1):
                    sets = _sets(bare.url)
                    for what in SCRIPTS:
                        case = series[workers, what]
                        case.sets.append(sets)
                        _round(server.url, what, keys, case, pids)
                        say(
                            f"keys {number}/{rounds}: {what}, {workers} workers: {case.ours[-1]:.2f} s,"
                            f" loop {case.loop[-1]:.2f} s"
                        )
    return series


def _round(url: str, what: str, keys: int, case: Case, pids: list[int]) -> None:
    with Client(url) as client:
        with Link(Endpoint(url)) as link:
            server = int(_info(link, "process_id"))
        used = cpu(server)
        loop = _loop(url, what, keys)
        case.loop.append(loop["seconds"])
        case.loop_cpu.append(cpu(server) - used + loop["cpu"])
        used, own = sum(map(cpu, (server, *pids))), time.process_time()
        begin = time.perf_counter()
        (result,) = client.execute(SCRIPTS[what], session="bench").results
        case.ours.append(time.perf_counter() - begin)
        case.our_cpu.append(sum(map(cpu, (server, *pids))) - used + time.process_time() - own)
    if result != expected(what, keys):
        raise Broken(f"run() gave {result} for {what}, not {expected(what, keys)}")


def _loop(url: str, what: str, keys: int) -> dict[str, float]:
    output = _peer("scan_mget", url, what)
    # The worker's and the registry's keys may be among what it sees; they are no strings that it could add.
    if abs(int(output["result"]) - expected(what, keys)) > 100:
        raise Broken(f"the loop gave {output['result']} for {what}, not {expected(what, keys)}")
    return output


def expected(what: str, keys: int) -> int:
    """The right result; values are the numbers of the keys, modulo 1000."""
    return keys if what == "count" else sum(number % 1000 for number in range(keys))


def _fill(url: str, keys: int) -> None:
    with Link(Endpoint(url)) as link:
        for start in range(0, keys, PIPELINE):
            numbers = range(start, min(start + PIPELINE, keys))
            link.pipeline([("SET", f"item:{number:07d}", number % 1000) for number in numbers])


@contextmanager
def _working(url: str, workers: int) -> Iterator[list[int]]:
    """Have so many worker processes; gives their ids."""
    if not workers:
        yield []
        return
    supervisor = Supervisor(url, workers, WorkerSettings(), on_output=show_trouble)
    supervisor.start()
    try:
        wait_for(lambda: supervisor.wait_ready(0), "the workers")
        yield supervisor.pids
    finally:
        supervisor.stop()


def _sets(url: str) -> float:
    result = _peer("pipelined_set", url, "1", "500")
    return result["writes"] / result["seconds"]


def _peer(module: str, *args: str) -> dict[str, float]:
    command = [sys.executable, "-m", f"benchmarks.peers.{module}", *args]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken(f"{module}: exit code {done.returncode}: {done.stderr}")
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _info(link: Link, name: str) -> str:
    for line in str(link.call("INFO", "server")).splitlines():
        field, _, value = line.partition(":")
        if field == name:
            return value
    raise Broken(f"INFO does not tell {name}")


def tables(series: Series) -> list[Table]:
    """The figures."""
    rows = [
        [f"{what}, {_helped(workers)}", f"{median(case.ours):.2f} s", f"{median(case.loop):.2f} s",
         spread(ratios(case.loop, case.ours)), f"{median(case.our_cpu):.2f} s", f"{median(case.loop_cpu):.2f} s"]
        for (workers, what), case in series.items()
    ]  # fmt: skip
    headers = ("all keys", "run()", "redis-py loop", "loop / run() (min..max)", "CPU of run()", "CPU of the loop")
    return [Table("A million keys of one server", "gate", headers, rows, METHOD, TRAPS)]


def _helped(workers: int) -> str:
    return f"{workers} workers" if workers else "no worker"


def gates(series: Series) -> list[Gate]:
    """What issue 5 asks for, of workers: as ratios to the loop, and as seconds scaled by the machine's speed."""
    cases = [(what, series[WORKERS, what]) for what in SCRIPTS]
    return [
        *(Gate(f"keys, {what}, loop / run()", FASTER[what], ratios(case.loop, case.ours)) for what, case in cases),
        *(
            Gate(f"keys, {what}, scaled to {REFERENCE:,} SET/s", BOUNDS[what], scaled(case), at_least=False, unit=" s")
            for what, case in cases
        ),
    ]


def scaled(case: Case) -> tuple[float, ...]:
    """The seconds that it would take on the machine of the bounds."""
    return tuple(seconds * sets / REFERENCE for seconds, sets in zip(case.ours, case.sets, strict=True))


METHOD = f"""\
A million keys `item:NNNNNNN`, each a string of one to three digits, on one server. *count* is `GB().count().run()`;
*sum* is a `map` of `x['value']` through a function and an `aggregate`. The loop is a process of its own: `SCAN` with
COUNT 1000 and `MGET` of each page with redis-py (hiredis parses), and the same Python functions. With {WORKERS} workers
each scans a portion of the keys; without, the process that calls does it all. *CPU*: user and system time of everybody
who took part, the server included. Pipelined `SET`s of another, bare server, in the same round, scale the seconds.
"""

TRAPS = """\
* Server, workers and caller share the machine's cores. With two of them, `SCAN` alone keeps the server busy for most of
  the time that `count` takes, so it cannot become much faster; on a busy machine two workers gain less than two.
* The loop reads the values for `count` too, as it cannot know which keys are still there; `SCAN` says that of a name it
  has just found.
* The loop's clock starts when it is connected; that of `run()` contains the way to the workers and back.
* `run()` leaves Geartrain's own keys out, and each name comes once; the loop does not care.
"""
