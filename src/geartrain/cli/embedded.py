"""The embedded server as `run` and `serve` have it: their options, and what they print about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from geartrain.cli.output import note
from geartrain.server import EmbeddedServer

F = TypeVar("F", bound=Callable[..., Any])


def server_options(function: F) -> F:
    """`--port P` and `--dir DIR`: arguments `port: int | None` and `directory: Path | None`."""
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
    return port(directory(function))


def start_server(port: int | None, directory: Path | None) -> EmbeddedServer:
    """Start it, and say where it listens and what becomes of its data.

    Raises:
        GeartrainError: it cannot be started; the message says why.
    """
    server = EmbeddedServer.start(port=port, directory=directory)
    click.echo(f"listening on {server.url}")
    if server.persistent:
        note(f"data are kept in {server.directory} (append-only file, written every second)")
    else:
        note("data are temporary: they are gone when this ends; --dir DIR keeps them")
    return server
