"""Steps compiled to one callable over a batch of records. Pure: no I/O; the same code runs in workers and servers."""

from __future__ import annotations

from geartrain.pipeline.collected import Collected, RecordError
from geartrain.pipeline.compiled import Pipeline, compile_pipeline
from geartrain.pipeline.context import NO_RECORD, Context
from geartrain.pipeline.futures import Future, Running
from geartrain.pipeline.parts import Parts, cut
from geartrain.pipeline.tailcalls import tail_calls

__all__ = [
    "NO_RECORD",
    "Collected",
    "Context",
    "Future",
    "Parts",
    "Pipeline",
    "RecordError",
    "Running",
    "compile_pipeline",
    "cut",
    "tail_calls",
]
