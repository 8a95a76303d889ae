"""How long it takes until something works: the command line, the server module, a worker."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from benchmarks.charts import Bars
from benchmarks.report import Table
from benchmarks.stage.programs import ROOT
from benchmarks.stage.watching import wait_for
from benchmarks.stage.workers import working
from benchmarks.suite import Benchmark, Broken, Contestant, Findings, Kind, Say, Sizes, interleaved
from geartrain import Client
from geartrain.server import EmbeddedServer
from geartrain.wire import Endpoint, Link

PYTHON = "python -c pass"
IMPORT = "Geartrain, import geartrain"
VERSION = "Geartrain, geartrain --version"
SERVER = "embedded server"
MODULE = "Geartrain, embedded server with the module"
FIRST_SYNC = "Geartrain, first sync function: SET to its reply"
WORKER = "Geartrain, worker process to first effect"

SYNC = "GearsBuilder().foreach(lambda x: None).register('user:*', mode='sync')"
EFFECT = "GearsBuilder('StreamReader').foreach(lambda x: execute('set', 'bench:effect', '1')).register('bench:first')"


def measure(sizes: Sizes, say: Say) -> Findings:
    """All in turn; everything is a new process each time."""
    runs: Mapping[str, Callable[[], float]] = {
        PYTHON: lambda: _command(sys.executable, "-c", "pass"),
        IMPORT: lambda: _command(sys.executable, "-c", "import geartrain"),
        VERSION: lambda: _command(str(Path(sys.executable).with_name("geartrain")), "--version"),
        SERVER: lambda: _server(module=False),
        MODULE: lambda: _server(module=True),
        FIRST_SYNC: _first_sync,
        WORKER: _worker,
    }
    contestants = {name: Contestant(run, show=lambda seconds: f"{1000 * seconds:.0f} ms") for name, run in runs.items()}
    figures = interleaved("startup", contestants, sizes.rounds, say).figures
    thousands = {name: [1000 * seconds for seconds in values] for name, values in figures.items()}
    rows = [
        [name, f"{median(values):.0f} ms", f"{min(values):.0f}..{max(values):.0f}"]
        for name, values in thousands.items()
    ]
    chart = Bars("startup", "Start-up", "milliseconds", thousands)
    return Findings([Table(("from the start", "median", "min..max"), rows)], charts=[chart])


def _command(*command: str) -> float:
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise Broken(f"{command[0]}: exit code {done.returncode}: {done.stderr[-200:]}")
    return seconds


def _server(*, module: bool) -> float:
    begin = time.perf_counter()
    with EmbeddedServer.start(module=module):
        return time.perf_counter() - begin


def _first_sync() -> float:
    with EmbeddedServer.start(module=True) as server, Client(server.url) as client, Link(Endpoint(server.url)) as link:
        client.execute(SYNC, session="bench")
        begin = time.perf_counter()
        link.call("SET", "user:1", "x")
        return time.perf_counter() - begin


def _worker() -> float:
    with EmbeddedServer.start(module=False) as server, Client(server.url) as client, Link(Endpoint(server.url)) as link:
        client.execute(EFFECT, session="bench")
        link.call("XADD", "bench:first", "*", "order", "1")
        begin = time.perf_counter()
        with working(server.url):
            wait_for(lambda: bool(link.call("EXISTS", "bench:effect")), "the first effect")
            return time.perf_counter() - begin


METHOD = """\
Everything is a new process each time. A server has started when it answers. *First sync function*: the `SET` loads
Python's code of the session into the server. *Worker process to first effect*: from its start to a `SET` that the
function of a registration does for a record that was there before.
"""

TRAPS = """\
* All files are in the system's cache after the first round, and compiled: the first start after an installation takes
  longer.
* Looks for an effect are 20 ms apart.
* What is ready before the `SET` comes is not in the time of the first sync function, so it moves from round to round.
"""

BENCHMARK = Benchmark(
    name="startup",
    title="Start-up",
    kind=Kind.INFORMATIONAL,
    contestants=(PYTHON, IMPORT, VERSION, SERVER, MODULE, FIRST_SYNC, WORKER),
    method=METHOD,
    traps=TRAPS,
    measure=measure,
)
