"""What command hooks cost: hooked commands, and others while something is hooked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from statistics import median

from benchmarks.report import Table, spread
from benchmarks.stats import ratios
from benchmarks.suite import Benchmark, Contestant, Findings, Kind, Say, Sizes, interleaved
from geartrain import Client, GearsBuilder, call_next
from geartrain.server import EmbeddedServer
from geartrain.wire import Endpoint, Link, pack_all

_BATCH = 500
"""Commands that are sent together."""

_ID = "bench"

_HSET = ("HSET", "hash", "field", "value")


@dataclass(frozen=True, slots=True)
class Case:
    """A command, and what is hooked meanwhile.

    Attributes:
        command: that is measured.
        hooked: has it hooked.
    """

    command: tuple[str, ...]
    hooked: Callable[[Client, Link], AbstractContextManager[None]]


@contextmanager
def _hook(link: Link, *fields: str) -> Iterator[None]:
    link.call("GEARTRAIN.HOOK", "SET", _ID, 1, *fields)
    try:
        yield
    finally:
        link.call("GEARTRAIN.HOOK", "DEL", _ID)


@contextmanager
def _function(client: Client, link: Link) -> Iterator[None]:
    with client.session("bench"):
        GearsBuilder("CommandReader").map(lambda words: call_next(*words[1:])).register(
            hook=_HSET[0], mode="sync", name=_ID
        )
    link.call(*_HSET)  # loads it
    try:
        yield
    finally:
        client.unregister(_ID)


def _hooked(*fields: str) -> Callable[[Client, Link], AbstractContextManager[None]]:
    return lambda _client, link: _hook(link, *fields)


CASES: Mapping[str, Case] = {
    "SET, while HSET has a hook": Case(("SET", "key", "value"), _hooked("reader", "command", "hook", "hset")),
    "HSET that the hook's prefix leaves out": Case(
        _HSET, _hooked("reader", "command", "hook", "hset", "keyprefix", "other:")
    ),
    "HSET through a sync function that calls it": Case(_HSET, _function),
    "GET of a key that is there, misses linked": Case(
        ("GET", "there"), _hooked("events", "keymiss", "commands", "get")
    ),
}


@dataclass(frozen=True, slots=True)
class Turn:
    """Microseconds of the server's processor for one command: bare, and hooked right after."""

    bare: float
    hooked: float


def measure(sizes: Sizes, say: Say) -> Findings:
    """Each case in turn, bare and hooked, on one server: two servers differ by more than some percent."""
    batches = sizes.pick(100, 10)
    with EmbeddedServer.start(module=True) as server, Client(server.url) as client, Link(Endpoint(server.url)) as link:
        link.call("SET", "there", "value")
        contestants = {
            name: Contestant(
                lambda case=case: _turn(client, link, case, batches),
                show=lambda turn: f"bare {turn.bare:.2f} us, hooked {turn.hooked:.2f} us",
            )
            for name, case in CASES.items()
        }
        figures = interleaved("hooks", contestants, 2 * sizes.rounds, say).figures
    rows = []
    for name, turns in figures.items():
        bare, hooked = [turn.bare for turn in turns], [turn.hooked for turn in turns]
        rows.append([name, f"{median(bare):.2f} us", f"{median(hooked):.2f} us", spread(ratios(hooked, bare))])
    return Findings([Table(("CPU time of the server", "bare", "hooked", "hooked / bare (min..max)"), rows)])


def _turn(client: Client, link: Link, case: Case, batches: int) -> Turn:
    packed = pack_all([case.command] * _BATCH)
    bare = _time(link, packed, batches)
    with case.hooked(client, link):
        return Turn(bare, _time(link, packed, batches))


def _time(link: Link, packed: bytes, batches: int) -> float:
    """Microseconds of the processor's time for one command: on a busy machine the clock's says little."""
    begin = _processor(link)
    for _ in range(batches):
        link.exchange(packed, _BATCH)
    return (_processor(link) - begin) / (batches * _BATCH) * 1e6


def _processor(link: Link) -> float:
    """Seconds that the server's process has used."""
    lines = str(link.call("INFO", "cpu")).splitlines()
    about = dict(line.split(":", 1) for line in lines if ":" in line)
    return float(about["used_cpu_user"]) + float(about["used_cpu_sys"])


METHOD = """\
One connection sends commands in batches of 500; what counts is the processor's time of the server. Each case is
measured in turns with the bare command on the same server. The first row is what every command pays while anything is
hooked.
"""

TRAPS = """\
* Processor time per command: what a client waits for has the network's time too, beside which this is small.
* In batches of 500 the server's own work for a command is at its smallest, so shares are at their largest.
"""

BENCHMARK = Benchmark(
    name="hooks",
    title="What command hooks cost",
    kind=Kind.INFORMATIONAL,
    contestants=tuple(CASES),
    method=METHOD,
    traps=TRAPS,
    measure=measure,
)
