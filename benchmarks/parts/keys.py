"""`run()` over a million keys of one server, beside the loop that people write instead."""

from __future__ import annotations

import inspect
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import keyfunctions
from benchmarks.charts import Bars
from benchmarks.report import Table, spread
from benchmarks.stage import programs
from benchmarks.stage.processes import cpu
from benchmarks.stage.workers import working
from benchmarks.stats import Gate, ratios
from benchmarks.suite import Benchmark, Broken, Contestant, Findings, Kind, Say, Sizes, interleaved
from geartrain import Client
from geartrain.server import EmbeddedServer
from geartrain.wire import Endpoint, pack_all
from geartrain.wire.link import PIPELINE

WORKERS = 2

AT_LEAST = {"count": 5.0, "sum": 2.0}
"""How many times as fast as the loop, with workers."""

REDISGEARS = {"count": 3.8, "sum": 4.6}
"""Seconds that RedisGears 1.2.13 took for a million keys, on a machine that made `REDISGEARS_SETS` pipelined `SET`s a
second (measured once, for the specification)."""

REDISGEARS_SETS = 680_000
TIMES_REDISGEARS = 3.0
"""How many times as fast as RedisGears, both in units of such a `SET`."""

SETS = "pipelined SET, bare"

SCRIPTS = {
    "count": "GB().count().run()",
    "sum": f"""
{inspect.getsource(keyfunctions)}
GB().map(lambda x: amount(x['value'])).aggregate(0, add, add).run()
""",
}


@dataclass(frozen=True, slots=True)
class Turn:
    """What one measurement found.

    Attributes:
        seconds: until the result was there.
        cpu: seconds of processor time of everybody who took part, the server included.
    """

    seconds: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Field:
    """The server whose keys are gone over."""

    url: str
    pid: int
    keys: int

    def expected(self, what: str) -> int:
        """The right result; values are the numbers of the keys, modulo 1000."""
        return self.keys if what == "count" else sum(number % 1000 for number in range(self.keys))

    def fill(self) -> Turn:
        """Make the keys, once more where they are there: the bare `SET`, packed before the clock starts."""
        numbers = (range(start, min(start + PIPELINE, self.keys)) for start in range(0, self.keys, PIPELINE))
        packed = [pack_all(("SET", f"item:{number:07d}", number % 1000) for number in part) for part in numbers]
        replies = self.keys * len(b"+OK\r\n")
        with socket.create_connection(("127.0.0.1", Endpoint(self.url).address.port)) as connection:
            used, own, begin = cpu(self.pid), time.process_time(), time.perf_counter()
            reading = threading.Thread(target=_read, args=(connection, replies))
            reading.start()
            for part in packed:
                connection.sendall(part)
            reading.join()
            seconds = time.perf_counter() - begin
        return Turn(seconds, cpu(self.pid) - used + time.process_time() - own)


def _read(connection: socket.socket, length: int) -> None:
    while length > 0:
        received = len(connection.recv(1 << 20))
        if not received:
            raise Broken("the server closed the connection that keys are set by")
        length -= received


def _loop(what: str) -> str:
    return f"redis-py loop, {what}"


def _ours(what: str, workers: int) -> str:
    return f"Geartrain, {what}, {f'{workers} workers' if workers else 'no worker'}"


def measure(sizes: Sizes, say: Say) -> Findings:
    """The loop and `run()` in turn; first without workers, then with them."""
    found: dict[int, Mapping[str, list[Turn]]] = {}
    with EmbeddedServer.start(module=False) as server:
        field = Field(server.url, server.pid, sizes.pick(1_000_000, 100_000))
        field.fill()
        for workers in (0, WORKERS):
            with working(server.url, workers) as pids:
                contestants = {SETS: _contestant(field.fill)} if workers else {}
                for what in SCRIPTS:
                    contestants[_loop(what)] = _contestant(lambda what=what: _others_turn(field, what))
                    contestants[_ours(what, workers)] = _contestant(
                        lambda what=what, pids=pids: _our_turn(field, what, pids)
                    )
                found[workers] = interleaved("keys", contestants, sizes.at_most(4), say).figures
    return findings(found)


def _contestant(run: Callable[[], Turn]) -> Contestant[Turn]:
    return Contestant(run, show=lambda turn: f"{turn.seconds:.2f} s")


def _our_turn(field: Field, what: str, pids: Sequence[int]) -> Turn:
    everybody = (field.pid, *pids)
    with Client(field.url) as client:
        used, own = sum(map(cpu, everybody)), time.process_time()
        begin = time.perf_counter()
        (result,) = client.execute(SCRIPTS[what], session="bench").results
        seconds = time.perf_counter() - begin
    if result != field.expected(what):
        raise Broken(f"run() gave {result} for {what}, not {field.expected(what)}")
    return Turn(seconds, sum(map(cpu, everybody)) - used + time.process_time() - own)


def _others_turn(field: Field, what: str) -> Turn:
    used = cpu(field.pid)
    output = programs.answer("scan_mget", field.url, what)
    # The worker's and the registry's keys may be among what it sees; they are no strings that it could add.
    if abs(int(output["result"]) - field.expected(what)) > 100:
        raise Broken(f"the loop gave {output['result']} for {what}, not {field.expected(what)}")
    return Turn(output["seconds"], cpu(field.pid) - used + output["cpu"])


def findings(found: Mapping[int, Mapping[str, Sequence[Turn]]]) -> Findings:
    """Seconds, each beside the loop of the same rounds."""
    rows, gates, bars = [], [], {}
    for workers, figures in found.items():
        for what in SCRIPTS:
            loop, ours = figures[_loop(what)], figures[_ours(what, workers)]
            gain = ratios([turn.seconds for turn in loop], [turn.seconds for turn in ours])
            rows.append([
                _ours(what, workers), f"{_seconds(ours):.2f} s", f"{_seconds(loop):.2f} s", spread(gain),
                f"{median(turn.cpu for turn in ours):.2f} s", f"{median(turn.cpu for turn in loop):.2f} s",
            ])  # fmt: skip
            bars |= {
                _loop(what): [turn.seconds for turn in loop],
                _ours(what, workers): [turn.seconds for turn in ours],
            }
            if workers:
                gates.append(Gate(f"keys, {what}, loop / run()", AT_LEAST[what], gain))
                old = [turn.seconds * REDISGEARS[what] * REDISGEARS_SETS / 1e6 for turn in figures[SETS]]
                beside = ratios(old, [turn.seconds for turn in ours])
                gates.append(Gate(f"keys, {what}, RedisGears 1.2 / run()", TIMES_REDISGEARS, beside))
        if SETS in figures:
            sets = figures[SETS]
            used = f"{median(turn.cpu for turn in sets):.2f} s"
            rows.append([SETS, "", f"{_seconds(sets):.2f} s", "", "", used])
    headers = ("all keys", "run()", "redis-py loop", "loop / run() (min..max)", "CPU of run()", "CPU of the loop")
    return Findings([Table(headers, rows)], gates, [Bars("keys", "A million keys of one server", "seconds", bars)])


def _seconds(turns: Sequence[Turn]) -> float:
    return median(turn.seconds for turn in turns)


METHOD = f"""\
A million keys `item:NNNNNNN`, each a string of one to three digits, on one server. *count* is `GB().count().run()`;
*sum* is a `map` of `x['value']` through a function and an `aggregate`. The loop is a process of its own: `SCAN` with
COUNT 1000 and `MGET` of each page with redis-py (hiredis parses), and the same Python functions. With {WORKERS} workers
each scans a portion of the keys; without, the process that calls does it all. *CPU*: user and system time of everybody
who took part, the server included.

RedisGears 1.2.13 took {REDISGEARS["count"]} s and {REDISGEARS["sum"]} s for this on a machine that made
{REDISGEARS_SETS:,} pipelined `SET`s a second. It runs on no server of today. So its times are compared in units of
a `SET`: setting all keys once more, in the same rounds.
"""

TRAPS = """\
* Server, workers and caller share the machine's cores. With two of them, `SCAN` alone keeps the server busy for most
  of the time that `count` takes; on a busy machine two workers gain less than two.
* The loop reads the values for `count` too, as it cannot know which keys are still there; `SCAN` says that of a name
  it has just found.
* The loop's clock starts when it is connected; that of `run()` contains the way to the workers and back.
* `run()` leaves Geartrain's own keys out, and each name comes once; the loop does not care.
"""

BENCHMARK = Benchmark(
    name="keys",
    title="run() over a million keys of one server",
    kind=Kind.GATE,
    contestants=[SETS, *(name for what in SCRIPTS for name in (_loop(what), _ours(what, 0), _ours(what, WORKERS)))],
    method=METHOD,
    traps=TRAPS,
    measure=measure,
)
