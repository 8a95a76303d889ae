"""Which server serves which slot: the shards of a cluster, or the one server that there is.

A `Topology` is shared by all connections of a process to one database. It is made of what the nodes themselves say
(`CLUSTER SLOTS`), asked when something shows that it has changed: a MOVED reply, a node that does not answer,
CLUSTERDOWN. Of two nodes that say different things the one with the later epoch is believed: after a failover the old
primary, and whoever is cut off with it, go on telling the old story.
"""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakSet

from geartrain.errors import ArgumentError, CommandError, GeartrainError, ServerUnavailable
from geartrain.wire.channel import ErrorReply
from geartrain.wire.clusterview import View, view_of
from geartrain.wire.commandkeys import CommandKeys, Words
from geartrain.wire.endpoint import Address, Endpoint
from geartrain.wire.link import Link
from geartrain.wire.shard import Shard, moved_slots

logger = logging.getLogger("geartrain.wire")

SILENT = 0.5
"""Seconds that a node which did not answer counts as silent: threads that need it fail at once, and see to others."""

QUIET = 0.1
"""Seconds between two refreshes, at least, however many connections ask for one."""


class Listener(Protocol):
    """Who has connections to shards."""

    def shard_gone(self, address: Address) -> None:
        """That node is no primary any more."""


class Topology:
    """The shards of one database. Thread-safe.

    Args:
        endpoint: one node, or several.

    Attributes:
        clustered: whether it is a cluster at all.
        version: grows whenever the shards, their slots or the spares are other ones.
        spares: primaries that serve no slots yet.
        moved_at: slots that were seen to move from one shard to another: the time (monotonic) of the last time.
        changes: grows whenever an answer of `address_of` may be another one.
        stale: whether something was not as expected, and nobody has asked the nodes since.

    Raises:
        ServerUnavailable: no node answers.
        CommandError: the nodes refuse to tell.
        ArgumentError: it is a cluster, and the URL selects another database than 0, or asks Sentinels.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.version = 0
        self.changes = 0
        self._lock = threading.Lock()
        self._shards: tuple[Shard, ...] = ()
        # Where ranges begin, and (where they end, whose they are). One object: other threads look while it is replaced.
        self._spans: tuple[list[int], list[tuple[int, Shard]]] = ([], [])
        self._patches: dict[int, Address] = {}
        self._epoch = -1
        self._asked = 0
        self._fresh_until = 0.0
        self.stale = False
        self.spares: tuple[Shard, ...] = ()
        self.moved_at: dict[int, float] = {}
        self._keys: CommandKeys | None = None
        self._silent: dict[Address, float] = {}
        self._listeners: WeakSet[Listener] = WeakSet()
        self._listening = threading.Lock()
        self.clustered = _is_clustered(endpoint)
        if self.clustered:
            self.refresh()
        else:
            self._take([Shard(endpoint.address)])

    @property
    def shards(self) -> tuple[Shard, ...]:
        """All of them, in order of their first slot."""
        return self._shards

    def shard_of(self, slot: int) -> Shard:
        """The shard that serves a slot.

        Raises:
            ServerUnavailable: nobody serves it.
        """
        owner = self.owner_of(slot)
        if owner is not None:
            return owner
        self.suspect()
        raise ServerUnavailable(f"{self.endpoint.shown}: no node of the cluster serves slot {slot}")

    def owner_of(self, slot: int) -> Shard | None:
        """As `shard_of`; None where nobody serves it."""
        starts, owners = self._spans
        at = bisect_right(starts, slot) - 1
        return owners[at][1] if at >= 0 and slot <= owners[at][0] else None

    def address_of(self, slot: int) -> Address:
        """Where a slot is served, as far as is known: by the last MOVED about it, or by its shard.

        Raises:
            ServerUnavailable: nobody serves it.
        """
        return self._patches.get(slot) or self.shard_of(slot).primary

    def spans(self) -> list[tuple[int, int, Address]]:
        """All answers of `address_of`: (first slot, last slot, where they are served); what comes later counts."""
        spans = [(first, last, shard.primary) for shard in self._shards for first, last in shard.slots]
        return spans + [(slot, slot, address) for slot, address in dict(self._patches).items()]

    def listen(self, listener: Listener) -> None:
        """Tell it of primaries that are gone, as long as it lives."""
        with self._listening:
            self._listeners.add(listener)

    def command_keys(self) -> CommandKeys:
        """Where commands have their keys; asked of a node once.

        Raises:
            ServerUnavailable: the nodes cannot be reached.
        """
        if self._keys is None:
            with Link(self.endpoint) as link:
                self._keys = CommandKeys(link.call("COMMAND"), self._ask_keys)
        return self._keys

    def _ask_keys(self, command: Words) -> Sequence[Any]:
        with Link(self.endpoint) as link:
            reply = link.pipeline([("COMMAND", "GETKEYS", *command)])[0]
        return reply if isinstance(reply, list) else []

    def moved(self, slot: int, address: Address) -> None:
        """A node says that another one serves the slot."""
        with self._lock:
            self._patches[slot] = address
            self.changes += 1
            self.stale = True

    def silent(self, address: Address) -> None:
        """A node has not answered: for a moment nobody else needs to wait for it."""
        self._silent[address] = time.monotonic() + SILENT
        self.stale = True

    def is_silent(self, address: Address) -> bool:
        """Whether a node has not answered a moment ago."""
        until = self._silent.get(address)
        return until is not None and time.monotonic() < until

    def suspect(self) -> None:
        """Something was not as it should be: `refresh` is to ask the nodes again."""
        self.stale = True

    def refresh_if_stale(self) -> bool:
        """Ask the nodes again where something was not as expected; whether the shards are other ones now.

        Never raises: what is known stays in use until a node answers.
        """
        if not self.clustered or not self.stale or time.monotonic() < self._fresh_until:
            return False
        before = self.version
        try:
            self.refresh()
        except GeartrainError as error:
            logger.debug("no node tells the slots: %s", error)
            self._fresh_until = time.monotonic() + QUIET
        return self.version != before

    def refresh(self) -> None:
        """Ask the nodes.

        Raises:
            ServerUnavailable: none of them answers.
            CommandError: they refuse to tell.
        """
        if not self.clustered:
            return
        with self._lock:
            if time.monotonic() < self._fresh_until:
                return
            self.stale = False
            if self._patches:
                self._patches = {}
                self.changes += 1
            self._ask()
            self._fresh_until = time.monotonic() + QUIET

    def _ask(self) -> None:
        """Take the first answer that is not older than what is known; else the newest of the others."""
        best: View | None = None
        failure: GeartrainError | None = None
        for address in self._candidates():
            try:
                view = view_of(self.endpoint.at(address), address)
            except GeartrainError as error:
                failure = error
                continue
            if view.shards and (best is None or view.epoch > best.epoch):
                best = view
            if view.shards and view.healthy and view.epoch >= self._epoch:
                break
        if best is None:
            self.stale = True
            raise failure or ServerUnavailable(f"{self.endpoint.shown}: the cluster's nodes serve no slots yet")
        self._epoch = max(self._epoch, best.epoch)
        self._take(best.shards, best.spares)

    def _candidates(self) -> Iterable[Address]:
        """All nodes that are known, another one first each time."""
        known = [shard.primary for shard in self._shards]
        replicas = [address for shard in self._shards for address in shard.replicas]
        order = list(dict.fromkeys([*known, *replicas, *self.endpoint.addresses]))
        self._asked += 1
        start = self._asked % len(order)
        return [*order[start:], *order[:start]]

    def _take(self, shards: Sequence[Shard], spares: Sequence[Shard] = ()) -> None:
        ordered = tuple(sorted(shards, key=lambda shard: shard.slots))
        unused = tuple(sorted(spares, key=lambda shard: shard.primary))
        if (ordered, unused) == (self._shards, self.spares):
            self._shards = ordered
            return
        self.spares = unused
        self.moved_at.update(dict.fromkeys(moved_slots(self._shards, ordered), time.monotonic()))
        gone = {shard.primary for shard in self._shards} - {shard.primary for shard in ordered}
        spans = sorted((first, last, shard) for shard in ordered for first, last in shard.slots)
        self._shards = ordered
        self._spans = [first for first, _, _ in spans], [(last, shard) for _, last, shard in spans]
        self.version += 1
        self.changes += 1
        with self._listening:
            listeners = list(self._listeners)
        for address in gone:
            for listener in listeners:
                listener.shard_gone(address)


_known: WeakKeyDictionary[Endpoint, Topology] = WeakKeyDictionary()
_known_lock = threading.Lock()


def topology_of(endpoint: Endpoint) -> Topology:
    """The topology that all connections of an endpoint share; the nodes are asked the first time.

    Raises:
        ServerUnavailable: no node answers.
        CommandError: they refuse the login, or to tell.
        ArgumentError: it is a cluster, and the URL is none for a cluster.
    """
    with _known_lock:
        found = _known.get(endpoint)
        if found is None:
            found = _known[endpoint] = Topology(endpoint)
        return found


def _is_clustered(endpoint: Endpoint) -> bool:
    """Whether there is a cluster, and the URL is one for it.

    Raises:
        ArgumentError: it is not.
    """
    try:
        clustered = _says_cluster(endpoint)
    except CommandError:
        # A cluster's node refuses another database than 0, each server in its own words.
        if not endpoint.database or endpoint.by_sentinel or not _says_cluster(endpoint.at_database_0()):
            raise
        clustered = True
    if clustered and endpoint.by_sentinel:
        raise ArgumentError(
            f"url: {endpoint.shown!r}: the server that the Sentinels name is a node of a cluster, which needs none;"
            " write redis://host:port of any of its nodes, or of several: redis://host:port,host:port"
        )
    if clustered and endpoint.database:
        shown = endpoint.shown
        raise ArgumentError(f"url: {shown!r}: a cluster has only database 0; leave out the {endpoint.database}")
    return clustered


def _says_cluster(endpoint: Endpoint) -> bool:
    with Link(endpoint) as link:
        try:
            return "cluster_enabled:1" in str(link.call("INFO", "cluster"))
        except CommandError:
            # A user without INFO: CLUSTER answers with an error where there is no cluster.
            reply = link.pipeline([("CLUSTER", "SLOTS")])[0]
            return not isinstance(reply, ErrorReply)
