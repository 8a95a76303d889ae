"""`python -m benchmarks`: benchmarks one after the other, each against servers of its own.

Exit code 0 when everything could be measured; 1 when something broke, or with `--gates` when a gate was missed by more
than the noise that was measured: its median misses, and so does its best round.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.page import Outcome, Page
from benchmarks.parts import ALL
from benchmarks.stats import Verdict
from benchmarks.suite import Benchmark, Broken, Kind, Sizes
from geartrain import GeartrainError
from geartrain.server import EmbeddedServer
from geartrain.wire import Endpoint, Link


def main() -> int:
    """Measure, print, and judge."""
    options = _options()
    if options.list:
        for benchmark in ALL:
            print(f"{benchmark.name:<12} {benchmark.kind.value:<14} {benchmark.title}")
        return 0
    sizes = Sizes(options.rounds or (1 if options.quick else 5), options.quick)
    chosen = [item for item in ALL if item.name in options.only and (item.kind is Kind.GATE or not options.gates)]
    page = Page([_outcome(benchmark, sizes) for benchmark in chosen], _server(), sizes.rounds)
    print(page.text())
    if options.markdown:
        page.write(options.markdown)
    broken = any(outcome.findings is None for outcome in page.outcomes)
    missed = options.gates and any(gate.verdict is Verdict.MISSED for gate in page.gates)
    return 1 if broken or missed else 0


def _outcome(benchmark: Benchmark, sizes: Sizes) -> Outcome:
    """Run it; one that breaks does not keep the others from running."""
    begin, findings, trouble = time.monotonic(), None, ""
    try:
        findings = benchmark.measure(sizes, _say)
    except (Broken, GeartrainError) as error:
        trouble = str(error)
        _say(f"{benchmark.name}: broken: {error}")
    return Outcome(benchmark, findings, trouble, time.monotonic() - begin)


def _server() -> str:
    with EmbeddedServer.start(module=False) as server, Link(Endpoint(server.url)) as link:
        info = dict(line.split(":", 1) for line in str(link.call("INFO", "server")).splitlines() if ":" in line)
    return f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_names, default=_all(), metavar="NAME,NAME", help="these benchmarks; see --list")
    parser.add_argument("--rounds", type=_positive, metavar="N", help="rounds, at most (default: 5; quick: 1)")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that everything runs, not how fast")
    parser.add_argument("--gates", action="store_true", help="only those with gates; fail where one is missed")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the page there too, and its charts beside it"
    )
    parser.add_argument("--list", action="store_true", help="the benchmarks, and what they are for")
    return parser.parse_args()


def _all() -> Sequence[str]:
    return [benchmark.name for benchmark in ALL]


def _names(text: str) -> Sequence[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in _all()]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: no benchmark; there are {', '.join(_all())}")
    return names


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rounds; it must be 1 or more")
    return int(text)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
