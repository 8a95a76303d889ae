"""How each node of an embedded cluster is started: its settings, its ports, its folder.

directory/cluster.json      which folders are nodes, and their ports: [{"folder": "node-1", "port": 11807}, ...]
directory/node-1/           a node's data, its log, and nodes.conf, in which it keeps the cluster
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from geartrain.errors import ArgumentError, GeartrainError
from geartrain.server.configuration import HOST, check_port, is_free
from geartrain.server.embedded import EmbeddedServer
from geartrain.server.process import LOCK

BUS_OFFSET = 10_000
"""From a node's port to that of its cluster bus: the servers' default, and the only one that Redis 6.2 has."""

_PORTS = range(11_000, 20_000)
"""Where ports are chosen: these and their bus ports are none that systems give to connections, so that nobody takes
one while its node is down."""

_ATTEMPTS = 5
"""Pairs of ports that are tried: another process may take one between our choice and the server's start."""

_FILE = "cluster.json"


def holds_cluster(directory: Path) -> bool:
    """Whether a cluster lies in the directory, which `EmbeddedCluster.start` starts again."""
    return (directory / _FILE).exists()


def check_size(shards: int, replicas: int, port: int | None) -> None:
    """Refuse a cluster that cannot be.

    Raises:
        ArgumentError: a number is too small, or a port is none; the message names it.
    """
    if shards < 1:
        raise ArgumentError(f"shards={shards!r}: a cluster has one shard at least")
    if replicas < 0:
        raise ArgumentError(f"replicas={replicas!r}: it is the number of replicas of each shard, 0 or more")
    if port is not None:
        last = check_port(port) + shards * (1 + replicas) - 1 + BUS_OFFSET
        if last > 65535:
            raise ArgumentError(
                f"port={port!r}: the last node's cluster bus would listen on port {last}, {BUS_OFFSET} above the node's"
                " own; choose a lower port"
            )


def node_options(options: Mapping[str, str], node_timeout: int) -> dict[str, str]:
    """A node's settings; those of the user win."""
    login = {"masterauth": options["requirepass"]} if "requirepass" in options else {}
    return {
        "cluster-enabled": "yes",
        "cluster-node-timeout": str(node_timeout),
        # A cluster of one node learns its address from nobody, and would tell clients none.
        "cluster-announce-ip": HOST,
        # A replica's first copy begins at once, not when five seconds have brought no other replica.
        "repl-diskless-sync-delay": "0",
        **login,
        **{name.lower(): value for name, value in options.items()},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What all nodes have in common, and where they lie.

    Attributes:
        directory: the cluster's; None: the nodes' data are temporary.
        binary, options, module, module_options: as for `EmbeddedServer.start`.
    """

    directory: Path | None
    binary: Path | None
    options: Mapping[str, str]
    module: bool | None
    module_options: Mapping[str, object]

    def start_new(self, count: int, first_port: int | None) -> list[EmbeddedServer]:
        """Start new nodes, on ports from `first_port` on, or on free ones; none is left running where one fails."""
        ports = [None if first_port is None else first_port + index for index in range(count)]
        places = zip(ports, self._new_folders(), strict=False)
        return _start_all([partial(self._start_new, folder, port) for port, folder in places])

    def start_known(self) -> list[EmbeddedServer]:
        """Start the nodes that lie in the directory; none: it holds no cluster.

        Raises:
            GeartrainError: it holds nodes that never became a cluster, or the data of a single server.
        """
        if self.directory is None:
            return []
        if not holds_cluster(self.directory):
            self._refuse_others()
            return []
        nodes = json.loads((self.directory / _FILE).read_text())
        places = [(self.directory / str(node["folder"]), int(node["port"])) for node in nodes]
        return _start_all([partial(self._start, folder, port) for folder, port in places])

    def _refuse_others(self) -> None:
        if self.directory is None:
            return
        if (self.directory / LOCK).exists():
            raise GeartrainError(f"{str(self.directory)!r} holds a single server's data: choose another directory")
        if (self.directory / "node-1").exists():
            raise GeartrainError(
                f"{str(self.directory)!r} holds nodes that never became a cluster (there is no {_FILE}): remove its"
                " node-* folders, or choose another directory"
            )

    def remember(self, servers: Sequence[EmbeddedServer]) -> None:
        """Write down which nodes there are, for `start_known`."""
        if self.directory is not None:
            nodes = [{"folder": server.directory.name, "port": server.port} for server in servers]
            fresh = self.directory / f"{_FILE}.new"
            fresh.write_text(json.dumps(nodes, indent=1) + "\n")
            fresh.replace(self.directory / _FILE)

    def _new_folders(self) -> Iterator[Path | None]:
        number = 0
        while True:
            number += 1
            folder = None if self.directory is None else self.directory / f"node-{number}"
            if folder is None or not folder.exists():
                yield folder

    def _start_new(self, folder: Path | None, port: int | None) -> EmbeddedServer:
        if port is not None:
            return self._start(folder, port)
        for _ in range(_ATTEMPTS):
            port = _free_pair()
            try:
                return self._start(folder, port)
            except GeartrainError:
                if is_free(port) and is_free(port + BUS_OFFSET):
                    raise
        raise GeartrainError(f"no free ports: {_ATTEMPTS} pairs were taken by others while a node started")

    def _start(self, folder: Path | None, port: int) -> EmbeddedServer:
        return EmbeddedServer.start(
            port=port,
            directory=folder,
            binary=self.binary,
            options=self.options,
            module=self.module,
            module_options=self.module_options,
        )


def _free_pair() -> int:
    chance = random.SystemRandom()
    while not (is_free(port := chance.choice(_PORTS)) and is_free(port + BUS_OFFSET)):
        pass
    return port


def _start_all(starts: Sequence[Callable[[], EmbeddedServer]]) -> list[EmbeddedServer]:
    """Start all at the same time; where one fails, the others are stopped."""
    if not starts:
        return []
    with ThreadPoolExecutor(len(starts)) as pool:
        futures = [pool.submit(start) for start in starts]
    failures = [future.exception() for future in futures if future.exception() is not None]
    if failures:
        stop_all([future.result() for future in futures if future.exception() is None], timeout=0)
        raise failures[0]  # type: ignore[misc]
    return [future.result() for future in futures]


def stop_all(servers: Sequence[EmbeddedServer], timeout: float) -> None:
    """Stop all at the same time: a primary may wait for its replicas, and these end too."""
    if servers:
        with ThreadPoolExecutor(len(servers)) as pool:
            for future in [pool.submit(server.stop, timeout) for server in servers]:
                future.result()
