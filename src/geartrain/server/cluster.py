"""A real cluster that this process owns: several embedded servers that are its nodes. For development, tests and demos.

    with EmbeddedCluster.start(shards=3, replicas=1) as cluster:
        cluster.url                                # redis://127.0.0.1:11807,127.0.0.1:12950,...
        cluster.kill(cluster.primary_of("key"))    # its replica takes over
        cluster.wait_ok()
        cluster.move_slots(range(100), cluster.add_shard())

What the nodes' roles are is asked of them each time: they change by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self
from urllib.parse import urlsplit

from geartrain.errors import CommandError, GeartrainError
from geartrain.keys import SLOTS, slot_of
from geartrain.server import clusternodes, slotmoves
from geartrain.server.clusterforming import introduce, replicate, share_slots
from geartrain.server.clusternodes import ClusterNode
from geartrain.server.embedded import STOP_TIMEOUT
from geartrain.server.module import NO_OPTIONS
from geartrain.server.noderecipe import Recipe, check_size, node_options, stop_all

NODE_TIMEOUT = 1500
"""Milliseconds without an answer after which a node counts as failed; a replica takes over about as long after that."""

OK_TIMEOUT = 60.0
"""Seconds that the nodes may take to agree that the cluster is in order."""


class EmbeddedCluster:
    """A cluster that runs; `EmbeddedCluster.start()` makes one. A context manager that stops it. For one thread.

    Attributes:
        nodes: its nodes, in the order in which they were started, those that were killed among them.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.nodes: list[ClusterNode] = []
        self._recipe = recipe

    @classmethod
    def start(
        cls,
        shards: int = 3,
        replicas: int = 0,
        directory: Path | None = None,
        binary: Path | None = None,
        options: Mapping[str, str] = MappingProxyType({}),
        module: bool | None = None,
        module_options: Mapping[str, object] = NO_OPTIONS,
        port: int | None = None,
        node_timeout: int = NODE_TIMEOUT,
    ) -> Self:
        """Start a cluster and wait until every node says that it is in order and all replicas have their data.

        Args:
            shards: its primaries, which share all slots evenly. With fewer than three no replica can take over: the
                remaining primaries are no majority.
            replicas: replicas of each primary.
            directory: where the nodes keep their data, each in a folder of its own; made where it is missing. A cluster
                that lies there is started as it is, on the same ports, whatever `shards` and `replicas` say. None: the
                data are temporary, those of each node.
            binary: the executable; None: the `valkey-server` that the extra `server` installs.
            options: further settings of each node, as in its configuration file.
            module: whether the nodes load the server module; as for `EmbeddedServer.start`.
            module_options: options of the module.
            port: the first node's port on 127.0.0.1, the others' follow; None: free ones. The cluster bus of each
                node listens 10000 above, on 127.0.0.1 too.
            node_timeout: milliseconds after which a node that does not answer counts as failed.

        Raises:
            ArgumentError: a number is too small, or `port` is not a port.
            GeartrainError: a node did not start, or the nodes did not become a cluster.
        """
        check_size(shards, replicas, port)
        recipe = Recipe(
            directory=directory.resolve() if directory is not None else None,
            binary=binary,
            options=node_options(options, node_timeout),
            module=module,
            module_options=module_options,
        )
        cluster = cls(recipe)
        try:
            if not cluster._start_known():
                cluster._start_new(shards, replicas, port)
        except BaseException:
            cluster.stop(timeout=0)
            raise
        return cluster

    @property
    def url(self) -> str:
        """All its nodes in one URL: `redis://127.0.0.1:PORT,127.0.0.1:PORT,...`, with the password, if it has one."""
        first = urlsplit(self.nodes[0].url)
        login, at, _ = first.netloc.rpartition("@")
        hosts = ",".join(urlsplit(url).netloc.rpartition("@")[2] for url in self.urls)
        return f"{first.scheme}://{login}{at}{hosts}"

    @property
    def urls(self) -> list[str]:
        """The URL of each node alone."""
        return [node.url for node in self.nodes]

    @property
    def has_module(self) -> bool:
        """Whether its nodes were started with the server module."""
        return self.nodes[0].server.has_module

    def primaries(self) -> list[ClusterNode]:
        """The primaries that answer, in the order of `nodes`; those without slots among them.

        Not one that came back and has not heard yet that another serves its slots.
        """
        said = clusternodes.claims(self.nodes)
        serving = set(clusternodes.owners(said).values())
        return [node for node, me in said.items() if me.primary is None and (node in serving or not me.slots)]

    def primary_of(self, key: str | bytes | int) -> ClusterNode:
        """The primary that serves a key, or a slot (an int).

        Raises:
            GeartrainError: no node that answers serves it: its primary has ended, and no replica has taken over yet.
        """
        slot = key if isinstance(key, int) else slot_of(key)
        owner = clusternodes.owner_of(slot, clusternodes.claims(self.nodes))
        if owner is None:
            raise GeartrainError(f"no node serves slot {slot} now: wait_ok() waits until a replica has taken over")
        return owner

    def slots_of(self, node: ClusterNode) -> list[int]:
        """The slots that a node serves, in order; none where it is a replica."""
        return sorted(slot for slot, owner in self._owners().items() if owner is node)

    def replicas_of(self, node: ClusterNode) -> list[ClusterNode]:
        """The replicas of a primary that answer."""
        return [other for other, me in clusternodes.claims(self.nodes).items() if me.primary == node.id]

    def kill(self, node: ClusterNode) -> None:
        """End a node with SIGKILL, as a crash would. Where it is a primary, a replica of it takes over (`wait_ok`)."""
        node.server.kill()

    def restart(self, node: ClusterNode) -> None:
        """Start a node again, on the same port: it is in the cluster again, as a replica if another has its slots.

        Without a `directory` it comes back empty, and if it still had its slots then, its replicas would empty
        themselves too: a replica that can take over is waited for first.

        Raises:
            GeartrainError: it did not start, or no replica has taken over in time.
        """
        if not node.server.persistent:
            others = [other for other in self._running() if other is not node]
            clusternodes.wait_until(lambda: clusternodes.heir_pending(node, others), OK_TIMEOUT)
        node.server.restart()

    def wait_ok(self, timeout: float = OK_TIMEOUT) -> None:
        """Wait until the nodes that run agree on everything, all slots are served and replicas have their data.

        Raises:
            GeartrainError: they do not within `timeout` seconds; the message says why.
        """
        clusternodes.wait_until(lambda: clusternodes.trouble(self.nodes), timeout)

    def add_shard(self, replicas: int = 0) -> ClusterNode:
        """Start a primary without slots, which joins the cluster, and replicas of it; returns the primary."""
        joined = self._add_nodes(1 + replicas, None)
        introduce(self._running(), joined, OK_TIMEOUT)
        replicate(joined[0], joined[1:])
        self.wait_ok()
        self._remember()
        return joined[0]

    def remove_shard(self, node: ClusterNode, to: ClusterNode | None = None) -> None:
        """Stop a primary and its replicas, and let the others forget them.

        Args:
            node: a primary.
            to: another one, to which its slots are moved first, key by key; not needed where it has none. (A primary
                that has lost its last slot becomes a replica of whoever has it now, from Redis 7 on, and so do its
                replicas: do not move them away before, if these are to go too.)

        Raises:
            GeartrainError: it serves slots, and `to` is not given.
        """
        leaving = [*self.replicas_of(node), node]
        if slots := self.slots_of(node):
            if to is None:
                raise GeartrainError(
                    f"node {node.port} serves {len(slots)} slots: say `to` which node they are to move"
                )
            self.move_slots(slots, to)
        for gone in leaving:
            self.forget(gone)

    def forget(self, node: ClusterNode) -> None:
        """Stop a node, if it runs, and make all the others forget it. Its folder stays."""
        node.server.stop()
        self.nodes.remove(node)
        for other in self._running():
            try:
                other.call("CLUSTER", "FORGET", node.id)
            except CommandError as error:
                if "nknown node" not in error.reply:  # it has heard of it from another one already
                    raise
        self._remember()

    def move_slots(self, slots: Iterable[int], to: ClusterNode) -> None:
        """Move slots to another primary key by key, as every server can. Clients see ASK, TRYAGAIN and then MOVED.

        Args:
            slots: their numbers, of any primaries; those that `to` serves already stay.
            to: a primary.

        Raises:
            GeartrainError: a node refused, or does not answer; slots that are under way stay as they are.
        """
        for source, part in self._by_owner(slots, to).items():
            others = [node for node in self.primaries() if node not in {source, to}]
            slotmoves.move_keys(source, to, others, part)

    def migrate_slots_atomically(self, slots: Iterable[int], to: ClusterNode, timeout: float = OK_TIMEOUT) -> None:
        """Move slots to another primary by the server's own migration (Valkey >= 9). Clients see MOVED, all at once.

        Args:
            slots: their numbers, of any primaries; those that `to` serves already stay.
            to: a primary.
            timeout: seconds for the slots of each primary.

        Raises:
            GeartrainError: the server cannot do it, or the migration failed.
        """
        for source, part in self._by_owner(slots, to).items():
            slotmoves.move_atomically(source, to, part, timeout)

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Stop all nodes at the same time; temporary data are removed. Does nothing where they have been stopped.

        Args:
            timeout: seconds after which a node is killed.
        """
        stop_all([node.server for node in self.nodes], timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_known(self) -> bool:
        """Start the cluster that lies in the directory; False: there is none."""
        self.nodes = [ClusterNode.of(server) for server in self._recipe.start_known()]
        if self.nodes:
            self.wait_ok()
        return bool(self.nodes)

    def _start_new(self, shards: int, replicas: int, port: int | None) -> None:
        nodes = self._add_nodes(shards * (1 + replicas), port)
        primaries = nodes[:shards]
        share_slots(primaries)
        introduce(nodes, nodes, OK_TIMEOUT)
        for index, primary in enumerate(primaries):
            replicate(primary, nodes[shards + index :: shards])
        self.wait_ok()
        self._remember()

    def _add_nodes(self, count: int, port: int | None) -> list[ClusterNode]:
        nodes = [ClusterNode.of(server) for server in self._recipe.start_new(count, port)]
        self.nodes += nodes
        return nodes

    def _remember(self) -> None:
        self._recipe.remember([node.server for node in self.nodes])

    def _running(self) -> list[ClusterNode]:
        return [node for node in self.nodes if node.server.running]

    def _owners(self) -> dict[int, ClusterNode]:
        return clusternodes.owners(clusternodes.claims(self.nodes))

    def _by_owner(self, slots: Iterable[int], to: ClusterNode) -> dict[ClusterNode, list[int]]:
        """The slots that are to be moved, by the node that serves them."""
        owners = self._owners()
        sources: dict[ClusterNode, list[int]] = {}
        for slot in slots:
            if slot not in owners:
                raise GeartrainError(f"no node serves slot {slot!r} now: slots are numbers from 0 to {SLOTS - 1}")
            if owners[slot] is not to:
                sources.setdefault(owners[slot], []).append(slot)
        return sources
