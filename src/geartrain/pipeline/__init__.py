"""Steps compiled to one callable over a batch of records. Pure: no I/O; the same code runs in workers and servers."""

from __future__ import annotations

from geartrain.pipeline.collected import Collected, RecordError
from geartrain.pipeline.compiled import Pipeline, compile_pipeline
from geartrain.pipeline.context import NO_RECORD, Context
from geartrain.pipeline.futures import Future, Running
from geartrain.pipeline.mentions import marked_steps
from geartrain.pipeline.parts import Parts, counting, cut, keeps_shards_whole
from geartrain.pipeline.progress import Progress, watched, watching
from geartrain.pipeline.sharing import may_leave_something
from geartrain.pipeline.tailcalls import tail_calls
from geartrain.pipeline.usage import borrows, noticed

__all__ = [
    "NO_RECORD",
    "Collected",
    "Context",
    "Future",
    "Parts",
    "Pipeline",
    "Progress",
    "RecordError",
    "Running",
    "borrows",
    "compile_pipeline",
    "counting",
    "cut",
    "keeps_shards_whole",
    "marked_steps",
    "may_leave_something",
    "noticed",
    "tail_calls",
    "watched",
    "watching",
]
