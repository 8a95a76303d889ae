"""Registrations and registries that tests make by themselves, without a server."""

from __future__ import annotations

from typing import Any

from geartrain.builder import CommandArguments, KeysArguments, Mode, Reader, StreamArguments
from geartrain.config import Dialect
from geartrain.registry import Registration, Snapshot, Status


def registration(
    name: str = "r", reader: Reader = Reader.KEYS, mode: Mode = Mode.ASYNC, version: int = 7, **arguments: Any
) -> Registration:
    """A registration; the arguments are those of its reader."""
    kinds = {Reader.KEYS: KeysArguments, Reader.STREAM: StreamArguments, Reader.COMMAND: CommandArguments}
    return Registration(
        id=name,
        session="shop",
        reader=reader,
        pattern="k:*",
        mode=mode,
        description=None,
        dialect=Dialect.GEARTRAIN,
        arguments=kinds[reader](**arguments),
        position=0,
        code_version=version,
        python="3.11",
        user="alice",
    )


def snapshot_of(*items: Registration, **status: Status) -> Snapshot:
    """A registry of such registrations."""
    return Snapshot(
        1, {item.id: item for item in items}, {item.id: status.get(item.id, Status.ACTIVE) for item in items}
    )
