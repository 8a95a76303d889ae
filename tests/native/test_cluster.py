"""A node of a cluster: its outboxes are in a slot that it serves, and follow when it serves others."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from geartrain.readers.values import encoded_value
from geartrain.wire import ErrorReply
from support.calls import Raw, answer, serve
from support.hooks import VALUES, captured, entries, listing, outbox, set_hook
from support.servers import stable_port
from support.waiting import wait_for

OPTIONS = {
    "cluster-enabled": "yes",
    "cluster-require-full-coverage": "no",
    # A node that gives its last slot away stays a primary.
    "cluster-allow-replica-migration": "no",
}


@pytest.fixture
def node(fresh_server, connect):
    """Makes nodes of clusters that serve a range of slots."""

    def make(flavour, first, last):
        port = {"cluster-port": str(stable_port())}
        link = connect(fresh_server(flavour, module={}, options={**OPTIONS, **port}))
        serve_slots(link, first, last)
        return link

    return make


def serve_slots(link, first, last):
    """Give a node slots, and wait until it serves them."""
    link.call("CLUSTER", "ADDSLOTSRANGE", first, last)
    wait_for(lambda: "cluster_state:ok" in link.call("CLUSTER", "INFO"), 20)


def slot_of(link, key):
    """The slot of a key."""
    return link.call("CLUSTER", "KEYSLOT", key)


def key_in(link, first, last):
    """A key in a range of slots."""
    return next(key for key in (f"k{number}" for number in range(100_000)) if first <= slot_of(link, key) <= last)


def introduce(link, other):
    """Have a node know another one, and its slots; the other's id."""
    bus = int(other.call("CONFIG", "GET", "cluster-port")[1])
    link.call("CLUSTER", "MEET", "127.0.0.1", other.endpoint.address.port, bus)
    there = other.call("CLUSTER", "MYID")
    wait_for(lambda: any(there in str(shard) for shard in link.call("CLUSTER", "SLOTS")), 20)
    return there


def test_an_outbox_is_in_a_slot_of_the_node(node, module_flavour):
    """Whichever slots it has; when its slot goes, later entries are in another outbox."""
    link = node(module_flavour, 8000, 16383)
    wait_for(lambda: slot_of(link, outbox(link)) >= 8000)
    set_hook(link)
    before, tag, slot = outbox(link), listing(link)["tag"], slot_of(link, outbox(link))
    first, last = max(8000, slot - 100), min(16383, slot + 100)
    key = key_in(link, *((8000, first - 1) if first > 8100 else (last + 1, 16383)))
    link.call("SET", key, 1)
    assert captured(link) == [("set", key.encode())]
    link.call("DEL", before)
    link.call("CLUSTER", "DELSLOTSRANGE", first, last)
    # At once, not when the module looks next.
    link.call("SET", key, 2)
    assert not first <= slot_of(link, outbox(link)) <= last
    assert captured(link) == [("set", key.encode())]
    assert [used for used, _ in listing(link)["used"]] == [tag, listing(link)["tag"]]


def test_the_tag_depends_on_the_slots_alone(node, module_flavour):
    """Whichever the node had before: with the same slots again it has the same outboxes."""
    link = node(module_flavour, 3000, 5460)
    wait_for(lambda: slot_of(link, outbox(link)) >= 3000)
    tag = listing(link)["tag"]
    slot = slot_of(link, outbox(link))
    link.call("CLUSTER", "DELSLOTS", slot)
    wait_for(lambda: listing(link)["tag"] != tag)
    link.call("CLUSTER", "ADDSLOTS", slot)
    wait_for(lambda: listing(link)["tag"] == tag)


def test_a_slot_that_is_on_its_way_to_another_node_gets_no_more_events(node, module_flavour):
    """Though its outbox is there; while all slots go, an outbox is used that no other can meet where it arrives."""
    link = node(module_flavour, 0, 400)
    there = introduce(link, node(module_flavour, 401, 16383))
    wait_for(lambda: slot_of(link, outbox(link)) <= 400)
    set_hook(link)
    key = key_in(link, 0, 400)
    link.call("SET", key, 1)
    before, slot = outbox(link), slot_of(link, outbox(link))
    link.call("CLUSTER", "SETSLOT", slot, "MIGRATING", there)
    wait_for(lambda: outbox(link) != before)
    link.call("SET", key, 2)
    assert link.call("XLEN", before) == 1
    assert captured(link) == [("set", key.encode())]
    settled = outbox(link)
    link.pipeline([("CLUSTER", "SETSLOT", number, "MIGRATING", there) for number in range(401)])
    for number in range(3):
        link.call("SET", key, number)
    going = outbox(link)
    assert going not in {before, settled}
    assert captured(link) == [("set", key.encode())] * 3
    # As if it had been moved.
    link.call("DEL", going)
    link.call("SET", key, 6)
    assert outbox(link) not in {before, settled, going}
    assert captured(link) == [("set", key.encode())]
    assert len({tag for tag, _ in listing(link)["used"]}) == 4


def test_while_the_first_slots_arrive_their_events_are_in_one_outbox(node, module_flavour):
    """In a slot that arrives, under a name that no other shard can have; with slots of its own, in the usual one."""
    link = node(module_flavour, 0, 400)
    there = introduce(link, node(module_flavour, 401, 16383))
    wait_for(lambda: slot_of(link, outbox(link)) <= 400)
    usual, key = outbox(link), key_in(link, 401, 16383)
    arriving = {slot_of(link, key), *range(401, 411)}
    for slot in arriving:
        link.call("CLUSTER", "SETSLOT", slot, "IMPORTING", there)
    link.call("CLUSTER", "DELSLOTSRANGE", 0, 400)
    wait_for(lambda: outbox(link) != usual)
    set_hook(link)
    for number in range(3):
        link.pipeline([("ASKING",), ("SET", key, number)])
    assert slot_of(link, outbox(link)) in arriving
    assert [tag for tag, _ in listing(link)["used"]] == [listing(link)["tag"]]
    link.call("CLUSTER", "ADDSLOTSRANGE", 0, 400)
    wait_for(lambda: outbox(link) == usual)


@pytest.mark.parametrize("appendonly", ["yes", "no"])
def test_a_restart_does_not_forget_which_tags_were_used(fresh_server, module_flavour, connect, appendonly):
    """Nor does a file: what is in outboxes under them has to be found, and workers may have seen none of them yet."""
    server = fresh_server(
        module_flavour, module={}, options={**OPTIONS, "appendonly": appendonly, "cluster-port": str(stable_port())}
    )
    link = connect(server)
    serve_slots(link, 0, 16383)
    set_hook(link)
    link.call("SET", "k", 1)
    first = listing(link)["tag"]
    link.call("CLUSTER", "DELSLOTS", slot_of(link, outbox(link)))
    link.call("SET", key_in(link, 0, 300), 1)
    used = listing(link)["used"]
    assert [tag for tag, _ in used] == [first, listing(link)["tag"]]
    assert first != listing(link)["tag"]
    link.call("SAVE")
    link.close()
    server.kill()
    server.restart()
    assert listing(link)["used"] == used


def test_a_snapshot_in_a_slot_that_arrives(node, module_flavour):
    """Clients write there after ASKING; the server refuses the module's commands, and the value is in the entry."""
    link = node(module_flavour, 0, 16000)
    there = introduce(link, node(module_flavour, 16001, 16383))
    key = key_in(link, 16001, 16383)
    link.call("CLUSTER", "SETSLOT", slot_of(link, key), "IMPORTING", there)
    set_hook(link, snapshot=1)
    for kind, (commands, expected) in VALUES.items():
        name = f"{{{key}}}{kind}"
        for command, _, *rest in commands:
            replies = link.pipeline([("ASKING",), (command, name, *rest)])
            assert not isinstance(replies[1], ErrorReply)
        entry = entries(link)[-1]
        assert (entry.key, entry.type) == (name.encode(), kind)
        assert encoded_value(kind, entry.value) == expected
    assert len(entries(link)) == len(VALUES)


def test_a_trigger_on_a_key_is_called_where_the_key_is(node, module_flavour):
    """Elsewhere the client is sent there, or told that nobody has it; without a key a trigger is called anywhere."""
    link = node(module_flavour, 0, 8000)
    set_hook(link, reader="command", trigger="t")
    port = urlsplit(link.endpoint.url).port
    worker, caller = Raw(port), Raw(port)
    assert serve(worker, "trigger", timeout=1) is None
    own, other = key_in(link, 0, 8000), next(k for k in map(str, range(100)) if slot_of(link, k) > 8000)
    assert "CLUSTERDOWN" in str(caller.call("RG.TRIGGERONKEY", "t", other))
    for words in (("RG.TRIGGERONKEY", "t", own, other), ("RG.TRIGGER", "t", other)):
        caller.send(*words)
        assert answer(worker, serve(worker, "trigger"), b"*0\r\n") == 1
        assert caller.receive() == []
    for connection in (worker, caller):
        connection.close()
