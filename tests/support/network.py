"""A network of the test's own in which the links of one address can be cut: packets to it are dropped (Linux, root).

    with own_network() as network:           # None where the machine does not allow one
        cluster = EmbeddedCluster.start(options=ANY_ADDRESS)
        addresses = Addresses(cluster)       # each node is 127.0.1.N to the others and to clients
        with network.cut(addresses.of(node)):
            ...                              # nobody's packets reach it, and it hears of no reply to its own

What the thread, and threads and processes that it starts, open meanwhile is in the network namespace; what was open
before stays outside. The nodes go on answering at 127.0.0.1: that is the console of whoever looks on.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from geartrain.errors import GeartrainError
from geartrain.server.configuration import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from geartrain.server import EmbeddedCluster
    from geartrain.server.clusternodes import ClusterNode

ANY_ADDRESS: Mapping[str, str] = {"bind": "0.0.0.0", "protected-mode": "no"}
"""Settings of nodes that answer at every address of the namespace, all of which are its loopback's."""

BUS_PORTS = "21000-29999"
"""Where nodes of embedded clusters hear of each other; no ports that clients connect from."""

_CLONE_NEWNET = 0x40000000


class Network:
    """A network namespace; `own_network` makes it."""

    @contextmanager
    def cut(self, address: str) -> Iterator[None]:
        """Drop what is sent to the address and from it: what has been connected to it hears of no end."""
        rules = _rules(address)
        for rule in rules:
            _ip("rule", "add", *rule)
        try:
            yield
        finally:
            for rule in rules:
                _ip("rule", "del", *rule)


@contextmanager
def own_network() -> Iterator[Network | None]:
    """Move the calling thread into a network namespace of its own, and back; None where that is not possible."""
    libc = ctypes.CDLL(None, use_errno=True)
    outside = Path("/proc/thread-self/ns/net")
    if shutil.which("ip") is None or not outside.exists():
        yield None
        return
    way_back = os.open(outside, os.O_RDONLY)
    try:
        moved = libc.unshare(_CLONE_NEWNET) == 0
        if moved and not _prepare():
            _go_back(libc, way_back)
            moved = False
        try:
            yield Network() if moved else None
        finally:
            if moved:
                _go_back(libc, way_back)
    finally:
        os.close(way_back)


def _prepare() -> bool:
    """Have a loopback, and whether links can be cut here."""
    try:
        _ip("link", "set", "lo", "up")
        # What is cut is decided before the table that knows all addresses of this machine.
        _ip("rule", "add", "pref", "1", "lookup", "local")
        _ip("rule", "del", "pref", "0")
        with Network().cut("127.0.1.1"):
            return True
    except subprocess.CalledProcessError:
        return False


def _go_back(libc: ctypes.CDLL, namespace: int) -> None:
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "the thread cannot leave its network namespace")


def _rules(address: str) -> list[tuple[str, ...]]:
    return [
        ("pref", "0", "to", address, "blackhole"),
        ("pref", "0", "from", address, "blackhole"),
        # A node that cannot connect from its own address tries any other.
        ("pref", "0", "from", HOST, "ipproto", "tcp", "dport", BUS_PORTS, "blackhole"),
    ]


class Addresses:
    """An address for each node of a cluster, 127.0.1.N, from which it also connects to the others.

    Args:
        cluster: one whose nodes were started with ANY_ADDRESS.
    """

    def __init__(self, cluster: EmbeddedCluster) -> None:
        self._cluster = cluster
        self.give()

    @property
    def url(self) -> str:
        """The cluster at these addresses."""
        return "redis://" + ",".join(f"{self.of(node)}:{node.port}" for node in self._cluster.nodes)

    def of(self, node: ClusterNode) -> str:
        """A node's address."""
        return f"127.0.1.{self._cluster.nodes.index(node) + 1}"

    def give(self) -> None:
        """Give all nodes that answer theirs, once more after one was started: it only knows 127.0.0.1 then."""
        # First all that they connect from: when the address that one is told changes, its links are made anew.
        for setting in ("bind-source-addr", "cluster-announce-ip"):
            for node in self._cluster.nodes:
                try:
                    node.call("CONFIG", "SET", setting, self.of(node))
                except GeartrainError:
                    if node.server.running:
                        raise


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)
