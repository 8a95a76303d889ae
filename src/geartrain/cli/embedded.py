"""The embedded server as `run` and `serve` have it: their options, and what they print about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from geartrain.cli.output import note
from geartrain.errors import GeartrainError
from geartrain.server import EmbeddedServer, find_module

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
    server = EmbeddedServer.start(port=port, directory=directory, module=not why_not)
    click.echo(f"listening on {server.url}")
    if server.persistent:
        note(f"data are kept in {server.directory} (append-only file, written every second)")
    else:
        note("data are temporary: they are gone when this ends; --dir DIR keeps them")
    note(f"without the server module: {why_not}" if why_not else "the server module is loaded")
    return server


def _why_no_module() -> str:
    """Why the module cannot be loaded; '' where it can."""
    try:
        find_module()
    except GeartrainError as error:
        return str(error)
    return ""
