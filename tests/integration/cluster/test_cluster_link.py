"""Commands to a cluster: where they go, and what redirections do to them."""

from __future__ import annotations

import pytest
from redis.crc import key_slot

from geartrain import ForeignShard, keys
from geartrain.errors import CommandError, ServerUnavailable
from geartrain.server import EmbeddedCluster
from geartrain.wire import ClusterLink, Endpoint, ErrorReply, Link, Script, access, pack, topology_of
from support.waiting import wait_for

ECHO = Script(b"return {KEYS[1], ARGV[1]}", "d006f1a90249474274c76f5be725b8f5804a346b")


def test_every_key_is_reached_through_any_node(cluster: EmbeddedCluster):
    """The URL of one node is enough."""
    for url in cluster.urls:
        with access(Endpoint(url)) as link:
            assert isinstance(link, ClusterLink)
            assert link.pipeline([("SET", f"any:{number}", number) for number in range(50)]) == ["OK"] * 50
            assert link.pipeline([("GET", f"any:{number}") for number in range(50)]) == [str(n) for n in range(50)]


def test_a_server_that_is_no_cluster_has_one_shard(valkey):
    """With all slots."""
    with access(Endpoint(valkey.url)) as link:
        assert isinstance(link, Link)
        assert [shard.slots for shard in link.shards] == [((0, 16383),)]


def test_shards_are_the_servers_own_account(cluster: EmbeddedCluster, link: ClusterLink):
    """Each key's shard is the node that the cluster names."""
    for name in (b"a", b"{b}c", b"{}", b"{a}{b}", b"x{y", b"}{z}", b"\xff\x00{\xfe}", b"{a{b}"):
        assert str(link.shard_of(name)) == cluster.primary_of(name).url.removeprefix("redis://")


@pytest.mark.parametrize(
    "name", [b"{}", b"{a{b}c}", b"{}{a}", b"a}b", b"}", b"{", b"{\xff}", b"x{}y", b"a{b}c{d}", b""]
)
def test_a_lease_is_in_the_slot_of_its_stream_whatever_its_name(link: ClusterLink, name: bytes):
    """By the server's own function."""
    slots = {link.call("CLUSTER", "KEYSLOT", key) for key in (name, keys.lease("id", name), keys.tries("id", name))}
    assert slots == {key_slot(name)}


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("GET", "k"), b"k"),
        (("xinfo", "groups", "k"), b"k"),
        (("XGROUP", "CREATE", "k", "g", "$"), b"k"),
        (("EVAL", "return 1", 1, "k", "a"), b"k"),
        (("EVAL", "return 1", 0), None),
        (("XREAD", "COUNT", 5, "STREAMS", "k", "0"), b"k"),
        (("XREADGROUP", "GROUP", "g", "c", "STREAMS", "k", ">"), b"k"),
        (("OBJECT", "ENCODING", "k"), b"k"),
        (("MEMORY", "USAGE", "k"), b"k"),
        (("BITOP", "AND", "k", "other"), b"k"),
        (("SORT", "k", "BY", "nosort"), b"k"),
        (("MIGRATE", "host", 1, "k", 0, 10), b"k"),
        (("ZUNION", 2, "k", "other"), b"k"),
        (("CONFIG", "GET", "maxmemory"), None),
        (("NO_SUCH_COMMAND", "k"), None),
        (("SET", 5, "v"), b"5"),
        (("SET",), None),
    ],
)
def test_the_first_key_of_a_command_is_found(link: ClusterLink, command, key):
    """Wherever it stands."""
    assert link.topology.command_keys().first(command) == key


def test_replies_come_in_order_and_errors_are_values(link: ClusterLink):
    """Also where the commands of a pipeline go to different shards."""
    link.call("DEL", "order:a")
    replies = link.pipeline([("RPUSH", "order:a", 1), ("INCR", "order:a"), ("SET", "order:b", 2), ("GET", "order:b")])
    assert isinstance(replies.pop(1), ErrorReply)
    assert replies == [1, "OK", "2"]


def test_commands_that_are_answered_later_keep_their_order(link: ClusterLink):
    """Also where some of them have been sent before the others."""
    commands = [("SET", f"later:{number // 2}", number) for number in range(10)]
    assert link.lanes.refusals(put(link, commands)) == []
    assert link.pipeline([("GET", f"later:{number}") for number in range(5)]) == ["1", "3", "5", "7", "9"]
    assert link.lanes.refusals([]) == []


def test_of_commands_that_are_answered_later_errors_are_told_by_number(link: ClusterLink):
    """Those of all shards, in the order of the calls."""
    commands = [("SET" if number % 3 else "INCR", f"told:{number % 7}", "x") for number in range(50)]
    found = link.lanes.refusals(put(link, commands))
    assert [at for at, _ in found] == list(range(0, 50, 3))
    assert all(isinstance(reply, ErrorReply) for _, reply in found)


def put(link, commands):
    """Give the commands to their lanes, and send every second one at once; the packed commands."""
    made = [pack(command) for command in commands]
    for number, (packed, (name, *args)) in enumerate(zip(made, commands, strict=True)):
        lane = link.lanes.lane(packed, name, args)
        lane.waiting.append(packed)
        if number % 2:
            link.lanes.send(lane)
    return made


def test_scripts_run_on_the_shard_of_their_first_key(link: ClusterLink):
    """Also where a node has forgotten them."""
    calls = [(ECHO, [f"script:{number}"], [number]) for number in range(20)]
    expected = [[f"script:{number}", str(number)] for number in range(20)]
    assert link.scripts(calls) == expected
    for shard in link.shards:
        link.on(shard).call("SCRIPT", "FLUSH")
    assert link.scripts(calls) == expected


def test_a_transaction_is_one_shards(link: ClusterLink):
    """Keys of two slots are refused, by the server."""
    assert link.transaction([("SET", "{t}a", 1), ("INCR", "{t}a")]) == ["OK", 2]
    with pytest.raises(CommandError):
        link.transaction([("SET", "{t}a", 1), ("SET", "{u}a", 1)])


def test_a_watched_key_that_changes_undoes_the_transaction(cluster: EmbeddedCluster, link: ClusterLink):
    """As on one server."""
    link.call("SET", "watched", 1)
    link.call("WATCH", "watched")
    with access(Endpoint(cluster.url)) as other:
        other.call("SET", "watched", 2)
    assert link.transaction([("SET", "watched", 3)]) is None
    assert link.call("GET", "watched") == "2"


def test_a_bound_link_refuses_users_keys_of_other_shards(link: ClusterLink):
    """And says how to name a key that it takes."""
    here = link.shard_of("home")
    elsewhere = next(f"k{n}" for n in range(1000) if link.shard_of(f"k{n}") != here)
    link.home, link.bound = key_slot(b"home"), True
    assert link.call_packed(pack(("SET", "home", 1)), "SET", ("home", 1)) == "OK"
    with pytest.raises(ForeignShard, match=r"async_local") as caught:
        link.call_packed(pack(("SET", elsewhere, 1)), "SET", (elsewhere, 1))
    with pytest.raises(ForeignShard, match=r"async_local"):
        put(link, [("SET", elsewhere, 1)])
    key = f"{{{caught.value.tag}}}x"
    assert link.call_packed(pack(("SET", key, 1)), "SET", (key, 1)) == "OK"
    assert link.call("GET", elsewhere) is None


def test_nodes_that_are_asked_again_and_tell_nothing_new_change_nothing(link: ClusterLink):
    """Workers ask each second; what is looked up for each slot stays, until a slot is elsewhere."""
    topology = link.topology
    before = topology.changes
    wait_for(lambda: (topology.suspect(), topology.refresh_if_stale()) and not topology.stale)
    assert topology.changes == before
    slot, other = key_slot(b"k"), next(shard for shard in link.shards if shard != link.shard_of(b"k"))
    topology.moved(slot, other.primary)
    assert topology.changes > before
    assert link.lanes.refusals(put(link, [("SET", "k", 1)])) == []


def test_commands_follow_a_slot_that_moves(make_cluster):
    """While it moves key by key (ASK), and when it has moved (MOVED); a link that knew the old owner too."""
    cluster = make_cluster(shards=3)
    name = "moving"
    reads, values = [("GET", f"{{{name}}}{number}") for number in range(100)], list(map(str, range(100)))
    with access(Endpoint(cluster.url)) as link:
        link.pipeline([("SET", f"{{{name}}}{number}", number) for number in range(100)])
        source = cluster.primary_of(name)
        target = next(node for node in cluster.primaries() if node is not source)
        slot = key_slot(name.encode())
        with Link(Endpoint(source.url)) as old, Link(Endpoint(target.url)) as new:
            new.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
            old.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
            some = [f"{{{name}}}{number}" for number in range(50)]
            old.call("MIGRATE", "127.0.0.1", target.server.port, "", 0, 5000, "KEYS", *some)
            assert link.pipeline(reads) == values
            assert link.call("SET", f"{{{name}}}new", "n") == "OK"
            assert link.lanes.refusals(put(link, [("APPEND", f"{{{name}}}{number}", "+") for number in (1, 99)])) == []
            values[1], values[99] = "1+", "99+"
            ((at, reply),) = link.lanes.refusals(put(link, [("INCR", f"{{{name}}}{number}") for number in (2, 1, 3)]))
            assert (at, reply.code) == (1, "ERR")
            values[2], values[3] = "3", "4"
        cluster.move_slots([slot], target)
        assert link.pipeline(reads) == values
        assert link.transaction([("GET", f"{{{name}}}new")]) == ["n"]
        wait_for(lambda: link.topology.refresh_if_stale() or link.shard_of(name).primary.port == target.server.port)


def test_commands_follow_a_failover(make_cluster):
    """After some refusals, the replica answers."""
    cluster = make_cluster(shards=3, replicas=1)
    with access(Endpoint(cluster.url), timeout=2) as link:
        link.call("SET", "kept", 1)
        assert link.on(link.shard_of("kept")).call("WAIT", 1, 5000) == 1
        cluster.kill(cluster.primary_of("kept"))

        def answer():
            try:
                return link.call("GET", "kept")
            except ServerUnavailable:
                return None

        assert wait_for(answer, 30) == "1"
        assert topology_of(link.endpoint).version > 1


def test_a_shard_that_is_away_keeps_no_script_from_the_others(make_cluster):
    """Its own are answered with an error that says so."""
    cluster = make_cluster(shards=3)
    with access(Endpoint(cluster.url), timeout=2) as link:
        calls = [(ECHO, [f"script:{number}"], [number]) for number in range(20)]
        lost = cluster.primary_of("script:0")
        there = {number for number in range(20) if cluster.primary_of(f"script:{number}") is lost}
        link.scripts(calls)
        cluster.kill(lost)
        replies = link.scripts(calls)
        assert {number for number, reply in enumerate(replies) if isinstance(reply, ErrorReply)} == there
        assert all(replies[number].text.startswith("CLUSTERDOWN") for number in there)
