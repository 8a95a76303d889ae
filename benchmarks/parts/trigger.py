"""`python -m benchmarks.trigger`: how long `RG.TRIGGER` takes, beside a `PING` of the same connection, in turns.

One client, one call after the other: what is measured is the way, not the throughput. On it are the client, the server,
a thread of the worker, the server again and the client again, so each wakes up twice as often as for a `PING`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median, quantiles

from geartrain import Client, Dialect
from geartrain.config import WorkerSettings
from geartrain.server import EmbeddedServer
from geartrain.wire import Endpoint, Link
from geartrain.worker.supervisor import Supervisor

SCRIPT = "GearsBuilder('CommandReader').map(lambda x: x[1]).register(trigger='echo')"

GOAL = 4.0
"""A trigger's median may be so many times that of a PING."""

_WARM = 500
"""Calls before anything counts."""


def main() -> int:
    """Measure, print; 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="rounds of both, in turns (default: 10)")
    parser.add_argument("--calls", type=int, default=1000, help="calls of each in a round (default: 1000)")
    options = parser.parse_args()
    with EmbeddedServer.start(module=True) as server, Client(server.url) as client:
        client.execute(SCRIPT, session="bench", dialect=Dialect.REDISGEARS_1_2)
        workers = Supervisor(server.url, 1, WorkerSettings())
        workers.start()
        try:
            if not workers.wait_ready(30):
                raise SystemExit("the worker was not ready within 30 s")
            return _measure(server.url, options.rounds, options.calls)
        finally:
            workers.stop()


def _measure(url: str, rounds: int, calls: int) -> int:
    with Link(Endpoint(url)) as link:
        ping: Callable[[], object] = lambda: link.call("PING")  # noqa: E731 - two names for one shape
        trigger: Callable[[], object] = lambda: link.call("RG.TRIGGER", "echo", "hello")  # noqa: E731
        if trigger() != ["hello"]:
            raise SystemExit(f"RG.TRIGGER replied {trigger()!r}")
        for action in (ping, trigger):
            _times(action, _WARM)
        pings: list[float] = []
        triggers: list[float] = []
        ratios: list[float] = []
        for _ in range(rounds):
            of_ping, of_trigger = _times(ping, calls), _times(trigger, calls)
            ratios.append(median(of_trigger) / median(of_ping))
            pings += of_ping
            triggers += of_trigger
    for name, times in (("PING", pings), ("RG.TRIGGER", triggers)):
        cuts = quantiles(times, n=100)
        print(f"{name:<11} p50 {cuts[49]:6.1f} us   p90 {cuts[89]:6.1f} us   p99 {cuts[98]:6.1f} us")
    ratio = median(ratios)
    print(f"p50 of RG.TRIGGER / PING: {ratio:.2f} (rounds: {min(ratios):.2f} to {max(ratios):.2f}; goal: {GOAL:g})")
    return int(ratio > GOAL)


def _times(action: Callable[[], object], count: int) -> list[float]:
    """Microseconds of each call."""
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        action()
        times.append((time.perf_counter() - begin) * 1e6)
    return times


if __name__ == "__main__":
    raise SystemExit(main())
