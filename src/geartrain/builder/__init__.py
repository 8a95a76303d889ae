"""What a script writes: a reader, steps, and their registration. Pure: no I/O, no connection."""

from __future__ import annotations

from geartrain.builder.commands import CommandBuilder
from geartrain.builder.gears import GB, GearsBuilder
from geartrain.builder.generators import PythonBuilder, ShardsBuilder
from geartrain.builder.host import Host, current_dialect, current_host, hosted
from geartrain.builder.keyspace import KeysBuilder, KeysOnlyBuilder
from geartrain.builder.requests import (
    Arguments,
    CommandArguments,
    FailurePolicy,
    KeysArguments,
    Mode,
    Reader,
    RegisterRequest,
    RunRequest,
    StreamArguments,
    TimeArguments,
)
from geartrain.builder.steps import Kind, Step
from geartrain.builder.streams import StreamBuilder

__all__ = [
    "GB",
    "Arguments",
    "CommandArguments",
    "CommandBuilder",
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
    "TimeArguments",
    "current_dialect",
    "current_host",
    "hosted",
]
