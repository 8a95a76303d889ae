"""A shard fails over to a replica that had not received what functions wrote: with `wait_replicas` they do it again."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from geartrain import GearsBuilder, execute, keys
from support.waiting import wait_for
from support.working import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geartrain.server import EmbeddedCluster


def name_on(cluster: EmbeddedCluster, node, prefix: str) -> str:
    """A key's name that is on that node."""
    return next(name for number in range(1000) if cluster.primary_of(name := f"{prefix}{number}").id == node.id)


def on_replica(replica, name: str) -> list[str]:
    """The list as a replica has it."""
    with replica.link() as link:
        found: list[str] = link.pipeline([("READONLY",), ("LRANGE", name, 0, -1)])[1]
    return found


@contextmanager
def cut_off(replica, primary) -> Iterator[None]:
    """The replica receives nothing, and its primary has none."""
    os.kill(replica.server.pid, signal.SIGSTOP)
    try:
        # What is in the socket already would be received all the same.
        primary.call("CLIENT", "KILL", "TYPE", "replica")
        yield
    finally:
        os.kill(replica.server.pid, signal.SIGCONT)


@pytest.mark.timeout(120)
@pytest.mark.servers("valkey-9.1")
@pytest.mark.parametrize("replicas", [0, 1])
def test_a_commit_survives_a_failover_only_with_its_effects(cluster_flavour, make_cluster, replicas):
    """The entry is on one shard, the effect on another, whose replica is behind when its primary is killed."""
    cluster = make_cluster(cluster_flavour, replicas=1)
    here = cluster.primary_of(keys.VERSION)
    there = next(node for node in cluster.primaries() if node.id != here.id)
    replica = cluster.replicas_of(there)[0]
    stream, effects = name_on(cluster, here, "s"), name_on(cluster, there, "effects")
    with Workplace(cluster.url) as place:
        name = place.register(writing(effects), stream)
        place.start(wait_replicas=replicas, wait_timeout=5)
        place.add(stream, "number", 1)
        place.wait_done(name)
        wait_for(lambda: on_replica(replica, effects) == ["1"])
        with cut_off(replica, there):
            last = place.add(stream, "number", 2)
            wait_for(lambda: there.call("LRANGE", effects, 0, -1) == ["1", "2"])
            wait_for(lambda: is_committed(place, name, stream, last) or replicas)
            assert is_committed(place, name, stream, last) != bool(replicas)
            cluster.kill(there)
        cluster.wait_ok()
        assert cluster.primary_of(effects).id == replica.id
        wait_for(lambda: is_committed(place, name, stream, last), 30)
        assert replica.call("LRANGE", effects, 0, -1) == (["1", "2"] if replicas else ["1"])


def writing(effects: str) -> GearsBuilder:
    """Writes each record's number to the list."""
    return GearsBuilder("StreamReader").foreach(lambda record: execute("rpush", effects, record["number"]))


def is_committed(place: Workplace, name: str, stream: str, entry: str) -> bool:
    """Whether the registration's offset is there."""
    return str(place.groups(stream)[keys.group(name).decode()]["last-delivered-id"]) == entry
