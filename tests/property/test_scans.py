"""A server's keys, scanned in portions side by side while its tables grow, shrink and are moved: each is found once."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from geartrain.readers import Layout, cursors_at, portions
from geartrain.readers.scanning import Scan
from geartrain.wire import ClusterLink, Endpoint, Link, access, pack

STAY = 3000
"""Keys that are there all the time."""

FLOOD = 40_000
"""Keys that come and go, all together at the most."""

FLAVOURS = ("valkey-9.1", "redis-8.2", "redis-debian", "redis-6.2")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def node(server):
    """A connection to each flavour in turn."""
    with Link(Endpoint(server.url)) as link:
        yield link


def fill(link, names):
    """Set keys."""
    for start in range(0, len(names), 1000):
        link.pipeline([("SET", name, "x") for name in names[start : start + 1000]])


def empty(link, names):
    """Delete keys."""
    for start in range(0, len(names), 1000):
        link.pipeline([("DEL", name) for name in names[start : start + 1000]])


class Churn:
    """Keys that come and go between two pages: many at once, so that tables are resized, or a few.

    Args:
        link: writes them.
        seed: chance.
        prefix: of their names.
    """

    def __init__(self, link, seed, prefix="flood"):
        self._link = link
        self._seed = seed
        self._prefix = prefix
        self._there = []
        self._made = 0

    def turn(self):
        """Perhaps change something."""
        chance = self._seed.random()
        if chance < 0.02:
            self._grow(FLOOD - len(self._there))
        elif chance < 0.04:
            self._shrink(len(self._there))
        elif chance < 0.3:
            self._grow(self._seed.randrange(100))
        elif chance < 0.5:
            self._shrink(self._seed.randrange(200))

    def _grow(self, count):
        new = [f"{self._prefix}:{self._made + number}" for number in range(count)]
        self._made += count
        self._there += new
        fill(self._link, new)

    def _shrink(self, count):
        gone, self._there = self._there[:count], self._there[count:]
        empty(self._link, gone)


def walked(walks, nodes, seed, turn):
    """The names that walks found, each advanced as chance will."""
    found = []
    waiting = list(zip(walks, nodes, strict=True))
    while waiting:
        walk, node = seed.choice(waiting)
        if walk.command is None:
            waiting.remove((walk, node))
            continue
        found += walk.take(node.exchange(pack(walk.command), 1)[0])
        turn()
    return found


@pytest.mark.servers(*FLAVOURS)
@pytest.mark.parametrize("of", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("round_", range(2))
def test_each_key_that_stays_is_found_once(node, server, seed, of, round_):
    """In whatever number of portions, however they are interleaved, and whatever else comes and goes."""
    del round_
    stay = [f"stay:{number}" for number in range(STAY)]
    fill(node, stay)
    fill(node, [f"geartrain:{number}" for number in range(100)])
    churn = Churn(node, seed)
    for _ in range(seed.randrange(20)):
        churn.turn()
    with ExitStack() as stack:
        nodes = [stack.enter_context(Link(Endpoint(server.url))) for _ in range(of)]
        count = seed.choice([10, 50, 100])
        walks = [
            Scan(each, "*", portion=portion, count=count)
            for each, portion in zip(nodes, portions(cursors_at(node), of), strict=True)
        ]
        found = walked(walks, nodes, seed, churn.turn)
    assert sorted(name for name in found if name.startswith("stay")) == sorted(stay)
    assert not any(name.startswith("geartrain:") for name in found)


@pytest.mark.servers(*FLAVOURS)
def test_a_walk_over_everything_finds_each_key_once_while_tables_shrink(node, seed):
    """Without portions: no name a second time, though nearly all keys go."""
    stay = [f"stay:{number}" for number in range(STAY)]
    flood = [f"flood:{number}" for number in range(FLOOD)]
    fill(node, stay)
    fill(node, flood)
    walk = Scan(node, "*", count=100)
    found = []
    at = seed.randrange(FLOOD // 100)
    while walk.command is not None:
        found += walk.take(node.exchange(pack(walk.command), 1)[0])
        at -= 1
        if at == 0:
            empty(node, flood)
    assert len(set(found)) == len(found)
    assert {name for name in found if name.startswith("stay")} == set(stay)


@pytest.mark.servers(*FLAVOURS)
def test_a_pattern_finds_its_keys_once_in_portions(node, seed, server):
    """Names that do not match are not there, however few do."""
    fill(node, [f"other:{number}" for number in range(STAY)])
    fill(node, [f"user:{number}" for number in range(500)])
    with Link(Endpoint(server.url)) as second:
        nodes = [node, second]
        walks = [
            Scan(each, "user:*", portion=portion, count=100)
            for each, portion in zip(nodes, portions(cursors_at(node), 2), strict=True)
        ]
        found = walked(walks, nodes, seed, lambda: None)
    assert sorted(found) == sorted(f"user:{number}" for number in range(500))


@pytest.mark.servers("valkey-9.1", "redis-8.2", "redis-6.2")
@pytest.mark.parametrize("pattern", ["*", "{tag}*"])
@pytest.mark.parametrize("of", [1, 2, 4])
def test_a_shards_keys_are_found_once(cluster_url, cluster_flavour, seed, pattern, of):
    """In clusters, where cursors hold the slot, all portions of all shards together; also those of one hash tag."""
    with access(Endpoint(cluster_url)) as link, ExitStack() as stack:
        assert isinstance(link, ClusterLink)
        prefix = "{tag}" if pattern != "*" else ""
        stay = [f"{prefix}stay:{number}" for number in range(STAY)]
        fill(link, stay)
        walks, nodes = [], []
        for shard in link.shards:
            cursors = cursors_at(link.on(shard))
            assert cursors.layout is (Layout.PLAIN if cluster_flavour == "redis-6.2" else Layout.SLOTS)
            for portion in portions(cursors, of, shard.slots):
                nodes.append(stack.enter_context(access(Endpoint(cluster_url))).on(shard))
                walks.append(Scan(nodes[-1], pattern, portion=portion, count=50))
        churn = Churn(link, seed, f"{prefix}flood")
        found = walked(walks, nodes, seed, churn.turn)
    assert sorted(name for name in found if "stay" in name) == sorted(stay)
