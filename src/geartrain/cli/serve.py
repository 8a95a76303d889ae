"""`geartrain serve`: the embedded server alone, or an embedded cluster, until it is stopped."""

from __future__ import annotations

from pathlib import Path

import click

from geartrain.cli.embedded import server_options, start_cluster, start_server
from geartrain.cli.interrupts import Interrupts
from geartrain.cli.output import note
from geartrain.config import URL_VARIABLE
from geartrain.errors import GeartrainError
from geartrain.server import EmbeddedCluster, EmbeddedServer

_LOOK = 0.5
"""Seconds between two looks at the servers' processes."""


@click.command(name="serve")
@server_options
@click.option(
    "--shards",
    type=click.IntRange(1),
    metavar="N",
    help="Start a cluster of N shards; --port is its first node's. [default: one server, no cluster]",
)
@click.option(
    "--replicas", type=click.IntRange(0), metavar="R", help="Replicas of each shard, with --shards. [default: none]"
)
def command(port: int | None, directory: Path | None, module: bool, shards: int | None, replicas: int | None) -> None:
    """Start the embedded server and print its URL; Ctrl-C stops it.

    With --shards it is a cluster. It listens on 127.0.0.1 only, and is meant for development.
    """
    if shards is None and replicas is not None:
        raise click.UsageError("--replicas is for a cluster: it cannot be given without --shards.")
    with Interrupts() as interrupts:
        if shards is None:
            _serve(start_server(port, directory, module), interrupts)
        else:
            _serve_cluster(start_cluster(shards, replicas or 0, port, directory, module), interrupts)
    note("stopped")


def _serve(server: EmbeddedServer, interrupts: Interrupts) -> None:
    with server:
        _ready(server.url)
        while not interrupts.wait(_LOOK):
            if not server.running:
                raise GeartrainError(f"the server has ended by itself; its log is {server.log_path}")


def _serve_cluster(cluster: EmbeddedCluster, interrupts: Interrupts) -> None:
    """The other nodes serve on where one has ended: that is what a cluster is for."""
    with cluster:
        _ready(cluster.url)
        running = list(cluster.nodes)
        while not interrupts.wait(_LOOK):
            for node in [node for node in running if not node.server.running]:
                running.remove(node)
                note(f"node {node.url} has ended by itself; its log is {node.server.log_path}")
            if not running:
                raise GeartrainError("all nodes of the cluster have ended by themselves")


def _ready(url: str) -> None:
    note(f"for the other commands: export {URL_VARIABLE}={url}")
    click.echo("ready")
