"""What a script writes: a reader, steps, and their registration. Pure: no I/O, no connection."""

from __future__ import annotations

from geartrain.builder.gears import (
    GB,
    GearsBuilder,
    KeysBuilder,
    KeysOnlyBuilder,
    PythonBuilder,
    ShardsBuilder,
    StreamBuilder,
)
from geartrain.builder.host import Host, current_host, hosted
from geartrain.builder.requests import (
    FailurePolicy,
    KeysArguments,
    Mode,
    Reader,
    RegisterRequest,
    RunRequest,
    StreamArguments,
)
from geartrain.builder.steps import Kind, Step

__all__ = [
    "GB",
    "FailurePolicy",
    "GearsBuilder",
    "Host",
    "KeysArguments",
    "KeysBuilder",
    "KeysOnlyBuilder",
    "Kind",
    "Mode",
    "PythonBuilder",
    "Reader",
    "RegisterRequest",
    "RunRequest",
    "ShardsBuilder",
    "Step",
    "StreamArguments",
    "StreamBuilder",
    "current_host",
    "hosted",
]
