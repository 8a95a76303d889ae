"""One server and three shards, drained by one worker process and by two."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from benchmarks.arena import Broken, wait_for
from benchmarks.processes import cpu
from benchmarks.report import Table, count, spread
from benchmarks.stats import Gate, ratios
from geartrain import Client, keys
from geartrain.config import WorkerSettings
from geartrain.server import EmbeddedCluster, EmbeddedServer
from geartrain.wire import Access, Endpoint, ErrorReply, access
from geartrain.worker.supervisor import Supervisor

SHARDS = 3
STREAMS = [f"bench:shared:{number}" for number in range(12)]

EMPTY = "lambda x: None"
EXECUTE = "lambda x: execute('set', x['streamId'], str(x))"
STEPS: Mapping[str, str] = {"empty": EMPTY, "one execute": EXECUTE}

SCRIPT = "GearsBuilder('StreamReader').foreach({step}).register('bench:shared:*', batch=100, name='{name}')"

_LOOK = 0.02
"""Seconds between two looks at the groups' progress."""


@dataclass(slots=True)
class Drain:
    """What was measured with one of them, one value for each round.

    Attributes:
        rates: records a second.
        costs: microseconds of the workers' CPU time for each record.
    """

    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)


Contest = tuple[int, int, str]
"""Shards (1: a server that is no cluster), worker processes, step."""

Series = dict[Contest, Drain]


def measure(entries: int, rounds: int, say: Callable[[str], None]) -> Series:
    """All of them in turn, again and again, over the same streams of `entries` entries in all."""
    series: Series = {
        (shards, processes, step): Drain() for step in STEPS for processes in (1, 2) for shards in (1, SHARDS)
    }
    with EmbeddedServer.start(module=False) as server, EmbeddedCluster.start(SHARDS, module=False) as cluster:
        urls = {1: server.url, SHARDS: cluster.url}
        for url in urls.values():
            _fill(url, entries)
        for processes in (1, 2):
            with _working(urls[1], processes) as one, _working(urls[SHARDS], processes) as many:
                pids = {1: one, SHARDS: many}
                for number in range(1, rounds + 1):
                    for contest in (item for item in series if item[1] == processes):
                        _drain(urls[contest[0]], contest, pids[contest[0]], entries, series[contest])
                        say(f"cluster {number}/{rounds}: {_name(contest)}: {count(series[contest].rates[-1])}/s")
    return series


def _fill(url: str, entries: int) -> None:
    """Orders of three fields, spread over all streams."""
    with access(Endpoint(url)) as link:
        for start in range(0, entries, 1200):
            link.pipeline([
                ("XADD", STREAMS[number % len(STREAMS)], "*", "order", f"{number:09d}", "customer",
                 f"c-{number % 5000:06d}", "total", f"{number % 10000 / 100:08.2f}")
                for number in range(start, min(start + 1200, entries))
            ])  # fmt: skip


@contextmanager
def _working(url: str, processes: int) -> Iterator[list[int]]:
    """Workers that are ready; their process ids."""
    supervisor = Supervisor(url, processes, WorkerSettings(), on_output=lambda _line: None)
    supervisor.start()
    try:
        for number in range(processes):
            wait_for(lambda number=number: bool(supervisor.wait_ready(number)), "the workers")  # type: ignore[misc]
        yield list(supervisor.pids)
    finally:
        supervisor.stop()


def _drain(url: str, contest: Contest, pids: list[int], entries: int, drain: Drain) -> None:
    """Register anew, and watch until all streams are done; from the first progress on, as everywhere."""
    with Client(url) as client, access(Endpoint(url)) as link:
        before = sum(map(cpu, pids))
        script = SCRIPT.format(step=STEPS[contest[2]], name="cluster")
        group = keys.group(client.execute(script, session="bench").registered[0]).decode()
        try:
            rate = _rate(link, group, entries)
            drain.rates.append(rate)
            drain.costs.append(1e6 * (sum(map(cpu, pids)) - before) / entries)
        finally:
            client.unregister_session("bench")
            # What `execute` has set is in the way of nobody, but takes memory.
            for shard in link.shards:
                _forget(link, shard)


def _forget(link: Access, shard: object) -> None:
    """Delete what is no stream."""
    here = next(item for item in link.shards if item == shard)
    cursor = "0"
    while True:
        cursor, page = link.on(here).call("SCAN", cursor, "COUNT", 1000, "TYPE", "string")
        link.on(here).pipeline([("UNLINK", name) for name in page if not str(name).startswith("geartrain:")])
        if cursor == "0":
            return


def _rate(link: Access, group: str, entries: int) -> float:
    first = last = (0.0, 0)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        done, now = _progress(link, group), time.perf_counter()
        if done != last[1]:
            last = (now, done)
            first = first if first[1] else last
        if done >= entries:
            break
        time.sleep(_LOOK)
    if last[0] <= first[0]:
        raise Broken(f"{group}: no progress to measure: {first} .. {last}")
    return (last[1] - first[1]) / (last[0] - first[0])


def _progress(link: Access, group: str) -> int:
    """Entries that the group has done, over all streams."""
    done = 0
    for reply in link.pipeline([("XINFO", "GROUPS", stream) for stream in STREAMS]):
        for flat in () if isinstance(reply, ErrorReply) else reply:
            info = dict(zip(flat[::2], flat[1::2], strict=True))
            if info["name"] == group:
                done += int(info["entries-read"] or 0)
    return done


def _name(contest: Contest) -> str:
    shards, processes, step = contest
    what = "one server" if shards == 1 else f"{shards} shards"
    return f"{what}, {processes} worker{'s' if processes > 1 else ''}, {step}"


def tables(series: Series) -> list[Table]:
    """The figures."""
    rows = [
        [_name(contest), count(median(drain.rates)), spread(ratios(drain.rates, _alone(series, contest).rates)),
         f"{median(drain.costs):.1f} us", spread(ratios(drain.costs, _alone(series, contest).costs))]
        for contest, drain in series.items()
    ]  # fmt: skip
    headers = ("drained", "records/s", "/ one server (min..max)", "CPU a record", "/ one server (min..max)")
    return [Table("One server, three shards", "gate", headers, rows, METHOD, TRAPS)]


def _alone(series: Series, contest: Contest) -> Drain:
    return series[1, contest[1], contest[2]]


def gates(series: Series) -> list[Gate]:
    """What issue 4 asks for: a record may cost 15 % more on three shards than on one server."""
    return [
        Gate(
            f"cost of a record, {_name(contest)} / one server",
            1.15,
            ratios(drain.costs, _alone(series, contest).costs),
            at_least=False,
        )
        for contest, drain in series.items()
        if contest[0] == SHARDS
    ]


METHOD = f"""\
{len(STREAMS)} streams of orders with three fields, the same on one server and on {SHARDS} shards, all on this machine;
batch 100. Each time a new registration drains all of them from their beginning. *CPU a record*: user and system time of
all worker processes, from the submission to the end, for each record.
"""

TRAPS = """\
* The shards' servers and the workers share the machine's processors: three shards bring no more processors here, so
  records/s say less than the CPU that a record costs.
* The CPU time contains loading the code and taking leases, a few milliseconds for each registration.
"""
