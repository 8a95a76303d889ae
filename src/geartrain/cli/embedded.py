"""The embedded server as `run` and `serve` have it, and the cluster of `serve`: options, and what is printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from geartrain.cli.output import note
from geartrain.errors import GeartrainError
from geartrain.server import EmbeddedCluster, EmbeddedServer, find_module, holds_cluster
from geartrain.server.slotmoves import spans

F = TypeVar("F", bound=Callable[..., Any])


def server_options(function: F) -> F:
    """`--port P`, `--dir DIR`, `--no-module`: `port: int | None`, `directory: Path | None`, `module: bool`."""
    port = click.option(
        "--port", type=click.IntRange(1, 65535), metavar="P", help="The embedded server's port. [default: a free one]"
    )
    directory = click.option(
        "--dir",
        "directory",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Where the embedded server keeps its data. [default: they are temporary]",
    )
    module = click.option(
        "--no-module",
        "module",
        is_flag=True,
        flag_value=False,
        default=True,
        show_default=False,
        help="Start the embedded server without the server module. [default: with it, where it is installed]",
    )
    return port(directory(module(function)))


def start_server(port: int | None, directory: Path | None, module: bool) -> EmbeddedServer:
    """Start it, and say where it listens, what becomes of its data, and whether it has the server module.

    Raises:
        GeartrainError: it cannot be started; the message says why.
    """
    why_not = _why_no_module() if module else "--no-module"
    if directory is not None and holds_cluster(directory):
        raise GeartrainError(f"{str(directory)!r} holds a cluster: `geartrain serve --shards N --dir DIR` starts it")
    server = EmbeddedServer.start(port=port, directory=directory, module=not why_not)
    click.echo(f"listening on {server.url}")
    _tell_data(directory)
    _tell_module(why_not)
    return server


def start_cluster(
    shards: int, replicas: int, port: int | None, directory: Path | None, module: bool
) -> EmbeddedCluster:
    """Start a cluster, and say the same of it, and what each of its nodes is.

    Raises:
        GeartrainError: it cannot be started; the message says why.
    """
    why_not = _why_no_module() if module else "--no-module"
    known = directory is not None and holds_cluster(directory)
    cluster = EmbeddedCluster.start(shards, replicas, directory, module=not why_not, port=port)
    click.echo(f"listening on {cluster.url}")
    _tell_nodes(cluster)
    if known:
        note(f"the cluster that lies in {directory} is started as it is, whatever --shards and --replicas say")
    if len(cluster.primaries()) < 3:
        note("fewer than 3 shards: no replica can take over from a primary, as the others are no majority")
    _tell_data(directory)
    _tell_module(why_not)
    return cluster


def _tell_nodes(cluster: EmbeddedCluster) -> None:
    for primary in cluster.primaries():
        slots = ", ".join(f"{part[0]}-{part[-1]}" for part in spans(cluster.slots_of(primary)))
        note(f"node {primary.url}: primary, slots {slots or '(none)'}")
        for replica in cluster.replicas_of(primary):
            note(f"node {replica.url}: replica of {primary.url}")


def _tell_data(directory: Path | None) -> None:
    if directory is not None:
        note(f"data are kept in {directory.resolve()} (append-only file, written every second)")
    else:
        note("data are temporary: they are gone when this ends; --dir DIR keeps them")


def _tell_module(why_not: str) -> None:
    note(f"without the server module: {why_not}" if why_not else "the server module is loaded")


def _why_no_module() -> str:
    """Why the module cannot be loaded; '' where it can."""
    try:
        find_module()
    except GeartrainError as error:
        return str(error)
    return ""
