"""The benchmarks, in the order in which they run and stand on the page. A new one is a module, and a name below."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.parts import (
    cluster,
    events,
    footprint,
    hooks,
    keys,
    latency,
    many,
    processes,
    recordsize,
    setexample,
    startup,
    steps,
    tasks,
    throughput,
    trigger,
    writes,
)
from benchmarks.suite import Benchmark

ALL: Sequence[Benchmark] = tuple(
    module.BENCHMARK
    for module in (
        throughput,
        steps,
        recordsize,
        setexample,
        latency,
        processes,
        many,
        cluster,
        writes,
        events,
        keys,
        trigger,
        hooks,
        tasks,
        footprint,
        startup,
    )
)
