"""One server and three shards, drained by one worker process and by two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from benchmarks.charts import Bars
from benchmarks.report import Table, count, spread
from benchmarks.stage import watching
from benchmarks.stage.arena import order
from benchmarks.stage.processes import cpu
from benchmarks.stage.workers import working
from benchmarks.stats import Gate, ratios
from benchmarks.suite import Benchmark, Contestant, Findings, Kind, Say, Sizes, interleaved
from geartrain import Client, keys
from geartrain.server import EmbeddedCluster, EmbeddedServer
from geartrain.wire import Access, Endpoint, ErrorReply, access

SHARDS = 3
STREAMS = 12

AT_MOST = 1.15
"""Times what a record costs on one server."""

SCRIPT = "GearsBuilder('StreamReader').foreach({step}).register('bench:{step_name}:*', batch=100, name='cluster')"


@dataclass(frozen=True, slots=True)
class Step:
    """What is done for each record.

    Attributes:
        title: for people.
        name: in the names of its streams.
        code: the function.
        entries: of its streams together; it takes some seconds.
    """

    title: str
    name: str
    code: str
    entries: int


EMPTY = Step("empty", "empty", "lambda x: None", 1_200_000)
EXECUTE = Step("one execute", "execute", "lambda x: execute('set', x['streamId'], str(x))", 300_000)


@dataclass(frozen=True, slots=True)
class Case:
    """Who drains what.

    Attributes:
        shards: 1: a server that is no cluster.
        processes: workers.
        step: for each record.
    """

    shards: int
    processes: int
    step: Step

    @property
    def name(self) -> str:
        """For people."""
        where = "one server" if self.shards == 1 else f"{self.shards} shards"
        return f"{where}, {self.processes} worker{'s' if self.processes > 1 else ''}, {self.step.title}"

    @property
    def alone(self) -> Case:
        """The same on one server."""
        return Case(1, self.processes, self.step)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one measurement found.

    Attributes:
        rate: records a second.
        cost: microseconds of the workers' CPU time for each record.
    """

    rate: float
    cost: float


CASES = [Case(shards, processes, step) for step in (EMPTY, EXECUTE) for processes in (1, 2) for shards in (1, SHARDS)]


def measure(sizes: Sizes, say: Say) -> Findings:
    """For each number of processes all in turn, over the same streams."""
    found: dict[Case, Sequence[Turn]] = {}
    with EmbeddedServer.start(module=False) as server, EmbeddedCluster.start(SHARDS, module=False) as cluster:
        urls = {1: server.url, SHARDS: cluster.url}
        entries = {step: step.entries // sizes.pick(1, 10) for step in (EMPTY, EXECUTE)}
        for url in urls.values():
            for step in (EMPTY, EXECUTE):
                _fill(url, step, entries[step])
        for processes in (1, 2):
            with ExitStack() as stack:
                pids = {shards: stack.enter_context(working(url, processes)) for shards, url in urls.items()}
                cases = {case.name: case for case in CASES if case.processes == processes}
                contestants = {
                    name: Contestant(
                        lambda case=case, pids=pids: _turn(
                            urls[case.shards], case.step, pids[case.shards], entries[case.step]
                        ),
                        show=lambda turn: f"{turn.rate:,.0f}/s, {turn.cost:.2f} us",
                    )
                    for name, case in cases.items()
                }
                rounds = interleaved("cluster", contestants, sizes.at_most(3), say)
                found |= {case: rounds[name] for name, case in cases.items()}
    return findings({case: found[case] for case in CASES})


def _names(step: Step) -> list[str]:
    return [f"bench:{step.name}:{number}" for number in range(STREAMS)]


def _fill(url: str, step: Step, entries: int) -> None:
    """Orders of three fields, spread over all streams."""
    names = _names(step)
    with access(Endpoint(url)) as link:
        for start in range(0, entries, 1200):
            numbers = range(start, min(start + 1200, entries))
            link.pipeline([("XADD", names[number % STREAMS], "*", *order(number)) for number in numbers])


def _turn(url: str, step: Step, pids: Sequence[int], entries: int) -> Turn:
    """Register anew, and watch until all streams are done; from the first progress on, as everywhere."""
    script = SCRIPT.replace("{step}", step.code).replace("{step_name}", step.name)
    with Client(url) as client, access(Endpoint(url)) as link:
        before = sum(map(cpu, pids))
        group = keys.group(client.execute(script, session="bench").registered[0]).decode()
        try:
            rate = watching.rate(lambda: _progress(link, _names(step), group), entries, math.inf)
            return Turn(rate, 1e6 * (sum(map(cpu, pids)) - before) / entries)
        finally:
            client.unregister_session("bench")
            _forget(link)


def _forget(link: Access) -> None:
    """Delete what functions have set: it is in the way of nobody, but takes memory."""
    for shard in link.shards:
        cursor = "0"
        while True:
            cursor, page = link.on(shard).call("SCAN", cursor, "COUNT", 1000, "TYPE", "string")
            link.on(shard).pipeline([("UNLINK", name) for name in page if not str(name).startswith("geartrain:")])
            if cursor == "0":
                break


def _progress(link: Access, names: Sequence[str], group: str) -> int:
    """Entries that the group has done, over all streams."""
    done = 0
    for reply in link.pipeline([("XINFO", "GROUPS", stream) for stream in names]):
        for flat in () if isinstance(reply, ErrorReply) else reply:
            info = dict(zip(flat[::2], flat[1::2], strict=True))
            if info["name"] == group:
                done += int(info["entries-read"] or 0)
    return done


def findings(found: Mapping[Case, Sequence[Turn]]) -> Findings:
    """Rates, and the CPU time that a record costs."""
    rates = {case: [turn.rate for turn in turns] for case, turns in found.items()}
    costs = {case: [turn.cost for turn in turns] for case, turns in found.items()}
    rows = [
        [case.name, count(median(rates[case])), spread(ratios(rates[case], rates[case.alone])),
         f"{median(costs[case]):.2f} us", spread(ratios(costs[case], costs[case.alone]))]
        for case in found
    ]  # fmt: skip
    gates = [
        Gate(
            f"cost of a record, {case.name} / one server",
            AT_MOST,
            ratios(costs[case], costs[case.alone]),
            at_least=False,
        )
        for case in found
        if case.shards == SHARDS
    ]
    headers = ("drained", "records/s", "/ one server (min..max)", "CPU a record", "/ one server (min..max)")
    chart = Bars("cluster", "CPU time of the workers for a record", "us", {case.name: costs[case] for case in found})
    return Findings([Table(headers, rows)], gates, [chart])


METHOD = f"""\
{STREAMS} streams of orders with three fields, {EMPTY.entries:,} in all ({EXECUTE.entries:,} where each is answered by
an `execute`), the same on one server and on {SHARDS} shards, all on this machine; batch 100. Each time a new
registration drains all of them from their beginning. *CPU a record*: user and system time of all worker processes, from
the submission to the end, for each record.
"""

TRAPS = """\
* The shards' servers and the workers share the machine's processors: three shards bring no more processors here, so
  records/s say less than the CPU that a record costs.
* The CPU time contains loading the code and taking leases: some ten milliseconds for each registration, less than a
  percent of the whole.
* One process and two are measured one after the other, not in turns: the rows of two are not to be divided by those
  of one. `processes` above does that.
"""

BENCHMARK = Benchmark(
    name="cluster",
    title="Scaling in shards",
    kind=Kind.GATE,
    contestants=[case.name for case in CASES],
    method=METHOD,
    traps=TRAPS,
    measure=measure,
)
