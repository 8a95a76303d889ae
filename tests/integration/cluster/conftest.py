"""A cluster of three shards, empty for each test."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from geartrain.server import EmbeddedServer
from geartrain.wire import Endpoint, Link, access
from support.waiting import wait_for

SHARDS = 3
SLOTS = 16384


def _free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


@pytest.fixture(scope="session")
def shared_cluster():
    """Three primaries that know each other; their URL."""
    with ExitStack() as stack:
        ports = [_free_port() for _ in range(SHARDS)]
        servers = [
            stack.enter_context(
                EmbeddedServer.start(module=False, options={"cluster-enabled": "yes", "cluster-port": str(port)})
            )
            for port in ports
        ]
        links = [stack.enter_context(Link(Endpoint(server.url))) for server in servers]
        for number, link in enumerate(links):
            first, last = number * SLOTS // SHARDS, (number + 1) * SLOTS // SHARDS - 1
            link.call("CLUSTER", "ADDSLOTSRANGE", first, last)
            link.call("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server, port in zip(servers[1:], ports[1:], strict=True):
            links[0].call("CLUSTER", "MEET", "127.0.0.1", server.port, port)
        for link in links:
            wait_for(
                lambda link=link: (
                    "cluster_state:ok" in (told := link.call("CLUSTER", "INFO"))
                    and f"cluster_known_nodes:{SHARDS}" in told
                ),
                message="the cluster serves all slots",
            )
        yield servers[0].url


@pytest.fixture
def cluster_url(shared_cluster):
    """The address of an empty cluster."""
    with access(Endpoint(shared_cluster)) as link:
        for shard in link.shards:
            link.on(shard).call("FLUSHALL")
    return shared_cluster


@pytest.fixture
def link(cluster_url):
    """Access to it."""
    with access(Endpoint(cluster_url)) as link:
        yield link
