"""`RG.TRIGGER` on clusters: workers serve every primary, wherever that is; executions are kept in one place."""

from __future__ import annotations

import pytest

from geartrain import CommandError, Dialect, GearsBuilder, execute, hashtag
from geartrain.keys import slot_of
from geartrain.registry.executions import Executions
from support.spread import name_on
from support.waiting import wait_for
from support.working import Workplace

GEARS = Dialect.REDISGEARS_1_2


@pytest.fixture
def cluster(cluster_flavour, make_cluster):
    """Three primaries with a replica each, and the server module."""
    return make_cluster(cluster_flavour, replicas=1, module={})


@pytest.fixture
def place(cluster):
    """The cluster, and workers for it."""
    with Workplace(cluster.url) as place:
        yield place


def trigger(place, shard, *words):
    """The reply of one shard's primary."""
    return place.link.on(shard).call("RG.TRIGGER", *words)


def served(place, shard, *words):
    """The same, as soon as that shard has the trigger and somebody serves it."""

    def replied():
        try:
            return trigger(place, shard, *words)
        except CommandError as error:
            return None if "unknown" in error.reply.lower() or "trigger" in error.reply else [error.reply]

    return wait_for(replied, 30)


def test_a_call_is_executed_for_the_shard_that_it_came_to(place):
    """`hashtag()` is that shard's; with async_local so are all keys."""
    steps = GearsBuilder("CommandReader").map(lambda x: (execute("SET", x[1], 1), hashtag()))
    place.register(steps, trigger="set", mode="async_local", convertToStr=False, dialect=GEARS)
    place.start()
    here, there, *_ = shards = place.link.shards
    for shard in shards:
        ((reply, tag),) = served(place, shard, "set", name_on(place.link, shard, "k"))
        assert reply == "OK"
        assert shard.has(slot_of(tag))
    with pytest.raises(CommandError, match="ForeignShard"):
        trigger(place, here, "set", name_on(place.link, there, "k"))
    executions = Executions(place.link)
    wait_for(lambda: len(executions.ids()) == 4)
    node = place.link.on(place.link.shard_of("geartrain:{registry}:executions")).call("CLUSTER", "MYID")
    assert {name.rpartition("-")[0] for name in executions.ids()} == {node}


def test_a_failover_is_followed(place, cluster):
    """The replica that takes over is served, without anybody's doing."""
    place.register(GearsBuilder("CommandReader").map(lambda x: x[1]), trigger="echo", dialect=GEARS)
    place.start()
    for shard in place.link.shards:
        assert served(place, shard, "echo", "before") == ["before"]
    registry = cluster.primary_of("geartrain:{registry}:version")
    dead = next(node for node in cluster.primaries() if node.port != registry.port)
    address = dead.port
    cluster.kill(dead)

    def moved():
        place.link.topology.suspect()
        place.link.topology.refresh_if_stale()
        return len(place.link.shards) == 3 and all(shard.primary.port != address for shard in place.link.shards)

    wait_for(moved, 60)
    for shard in place.link.shards:
        assert served(place, shard, "echo", "after") == ["after"]
