"""`python -m benchmarks.hooks`: what command hooks cost, hooked commands and others.

One connection sends commands in batches; what counts is the processor's time of the server. Each case is measured in
turns with the bare command on the same server: a difference of some percent is smaller than that between two servers.

    another is hooked     SET, while HSET has a hook: what everybody pays
    prefix without match  HSET of a key that the hook's prefix leaves out
    function              HSET through a function of mode='sync' that calls the original
    linked, a hit         GET of a key that is there, while misses of GET are linked
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from geartrain import Client, GearsBuilder, call_next
from geartrain.server import EmbeddedServer
from geartrain.wire import Endpoint, Link, pack_all

_BATCH = 500
"""Commands that are sent together."""

_ID = "bench"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each case, in turns (default: 15)")
    parser.add_argument("--batches", type=int, default=100, help="batches of 500 commands in a round (default: 100)")
    options = parser.parse_args()
    with EmbeddedServer.start(module=True) as server, Client(server.url) as client, Link(Endpoint(server.url)) as link:
        link.call("SET", "there", "value")
        for name, command, hooked in _cases(client, link):
            bare, other = _compare(link, command, hooked, options.rounds, options.batches)
            print(f"{name:22} bare {bare:5.2f} us, hooked {other:5.2f} us: {other / bare:.2f} times")
    return 0


def _cases(client: Client, link: Link) -> Iterator[tuple[str, tuple[str, ...], Callable[[], object]]]:
    """Name, command, and a context manager in which it is hooked."""
    hset = ("HSET", "hash", "field", "value")
    yield "another is hooked", ("SET", "key", "value"), lambda: _hook(link, "reader", "command", "hook", "hset")
    prefix = ("reader", "command", "hook", "hset", "keyprefix", "other:")
    yield "prefix without match", hset, lambda: _hook(link, *prefix)
    yield "function", hset, lambda: _function(client, link, hset)
    yield "linked, a hit", ("GET", "there"), lambda: _hook(link, "events", "keymiss", "commands", "get")


@contextmanager
def _hook(link: Link, *fields: str) -> Iterator[None]:
    link.call("GEARTRAIN.HOOK", "SET", _ID, 1, *fields)
    try:
        yield
    finally:
        link.call("GEARTRAIN.HOOK", "DEL", _ID)


@contextmanager
def _function(client: Client, link: Link, command: tuple[str, ...]) -> Iterator[None]:
    with client.session("bench"):
        GearsBuilder("CommandReader").map(lambda words: call_next(*words[1:])).register(
            hook=command[0], mode="sync", name=_ID
        )
    link.call(*command)  # loads it
    try:
        yield
    finally:
        client.unregister(_ID)


def _compare(
    link: Link, command: tuple[str, ...], hooked: Callable[[], object], rounds: int, batches: int
) -> tuple[float, float]:
    """Microseconds of the processor for one command, bare and hooked: medians over rounds that alternate."""
    packed = pack_all([command] * _BATCH)
    bare, other = [], []
    _time(link, packed, batches)
    for _ in range(rounds):
        bare.append(_time(link, packed, batches))
        with hooked():  # type: ignore[attr-defined]
            other.append(_time(link, packed, batches))
    return median(bare), median(other)


def _time(link: Link, packed: bytes, batches: int) -> float:
    """The processor's time: on a busy machine the clock's says little."""
    begin = _processor(link)
    for _ in range(batches):
        link.exchange(packed, _BATCH)
    return (_processor(link) - begin) / (batches * _BATCH) * 1e6


def _processor(link: Link) -> float:
    """Seconds that the server's process has used."""
    lines = str(link.call("INFO", "cpu")).splitlines()
    about = dict(line.split(":", 1) for line in lines if ":" in line)
    return float(about["used_cpu_user"]) + float(about["used_cpu_sys"])


if __name__ == "__main__":
    raise SystemExit(main())
