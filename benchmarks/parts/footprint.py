"""Memory: of a worker, for each registration, and for records that wait in its buffers."""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median

from benchmarks.report import Table
from benchmarks.stage.arena import order
from benchmarks.stage.processes import memory
from benchmarks.stage.watching import wait_for
from benchmarks.stage.workers import working
from benchmarks.suite import Benchmark, Contestant, Findings, Kind, Say, Sizes, interleaved
from geartrain import Client, keys
from geartrain.config import WorkerSettings
from geartrain.server import EmbeddedServer
from geartrain.wire import Endpoint, Link
from geartrain.wire.link import PIPELINE

NAMES = {
    "alone": "a worker with one registration",
    "registration": "each registration more, in the worker",
    "server": "each registration more, in the server",
    "records": "1,000 buffered records of three fields",
}

REGISTRATIONS = """
for number in range({count}):
    GearsBuilder('StreamReader').foreach(lambda x: None).register(f'bench:idle:{number}', batch=100)
"""

WAITS = """
import time

def wait(record):
    while not execute('exists', 'bench:go'):
        time.sleep(0.05)

GearsBuilder('StreamReader').foreach(wait).register('bench:full:*', batch=1)
"""
"""A function that does not come back before it is told to: what is read meanwhile stays in buffers."""

STREAMS = 10


def measure(sizes: Sizes, say: Say) -> Findings:
    """Workers and servers that are new each time: a process does not give back all that it once had."""
    many = sizes.pick(1000, 100)
    records = sizes.pick(100_000, 20_000)
    contestants = {
        "few": Contestant(lambda: _of_registrations(1), show=_show),
        "many": Contestant(lambda: _of_registrations(many), show=_show),
        "buffered": Contestant(lambda: _of_records(records), show=_show),
    }
    figures = interleaved("footprint", contestants, sizes.at_most(3), say).figures
    few, more, buffered = ([*zip(*figures[name], strict=True)] for name in ("few", "many", "buffered"))
    bytes_of = {
        "alone": median(few[0]),
        "registration": (median(more[0]) - median(few[0])) / (many - 1),
        "server": (median(more[1]) - median(few[1])) / (many - 1),
        "records": (median(buffered[0]) - median(buffered[1])) / records * 1000,
    }
    return Findings(
        [Table(("memory", "kB"), [[NAMES[name], f"{size / 1000:,.1f}"] for name, size in bytes_of.items()])]
    )


def _show(sizes: tuple[float, float]) -> str:
    return f"{sizes[0] / 1e6:.1f} MB and {sizes[1] / 1e6:.1f} MB"


def _of_registrations(count: int) -> tuple[float, float]:
    """Bytes of a worker that has so many, and of the data of its server."""
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedServer.start(module=False))
        client = stack.enter_context(Client(server.url))
        link = stack.enter_context(Link(Endpoint(server.url)))
        ids = client.execute(REGISTRATIONS.replace("{count}", str(count)), session="bench").registered
        (pid,) = stack.enter_context(working(server.url))
        wait_for(lambda: sum(link.pipeline([("SCARD", keys.streams(name)) for name in ids])) >= count, "all live")
        _settled(pid)
        return memory(pid), _used(link)


def _of_records(count: int) -> tuple[float, float]:
    """Bytes of a worker whose buffers hold so many records, and of the same one before."""
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedServer.start(module=False))
        client = stack.enter_context(Client(server.url))
        link = stack.enter_context(Link(Endpoint(server.url)))
        client.execute(WAITS, session="bench")
        settings = WorkerSettings(prefetch=count, read_budget=count)
        (pid,) = stack.enter_context(working(server.url, settings=settings))
        before = _settled(pid)
        for start in range(0, count, PIPELINE):
            numbers = range(start, min(start + PIPELINE, count))
            link.pipeline([("XADD", f"bench:full:{number % STREAMS}", "*", *order(number)) for number in numbers])
        wait_for(lambda: memory(pid) - before > 50 * count, f"{count} records in memory")
        full = _settled(pid)
        link.call("SET", "bench:go", "1")
        return full, before


def _settled(pid: int) -> float:
    """A process's memory, once it has not changed for a second or so."""
    last = [0.0, 0]

    def steady() -> bool:
        now = memory(pid)
        last[:] = [now, last[1] + 1 if now == last[0] else 0]
        return last[1] >= 50

    wait_for(steady, f"memory of {pid} that settles")
    return last[0]


def _used(link: Link) -> float:
    for line in str(link.call("INFO", "memory")).splitlines():
        name, _, value = line.partition(":")
        if name == "used_memory_dataset":
            return float(value)
    return 0.0


METHOD = f"""\
Resident memory of a worker process, of the same kind for all; each time the process and its server are new. Buffered
records are of three fields, 60 bytes, on {STREAMS} streams whose functions do not come back; the worker was allowed to
read them all (`prefetch`).
"""

TRAPS = """\
* Resident memory counts pages: small amounts disappear in what the allocator had already.
* The memory in the server is `used_memory_dataset`, with what workers write there of the registrations.
* By default a worker keeps 4,000 records of a stream in memory, and 256 MB in all (estimated).
"""

BENCHMARK = Benchmark(
    name="footprint",
    title="Memory",
    kind=Kind.INFORMATIONAL,
    contestants=tuple(NAMES.values()),
    method=METHOD,
    traps=TRAPS,
    measure=measure,
)
