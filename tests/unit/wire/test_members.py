"""What nodes say about a cluster."""

from __future__ import annotations

from geartrain.wire import Address, parse_members

IDS = ["a" * 40, "b" * 40, "c" * 40]
NODES = f"""\
{IDS[0]} 127.0.0.1:7000@17000,,id=1 myself,master - 0 0 5 connected 0-99 7 200-201 [8->-{IDS[1]}] [9-<-{IDS[1]}]
{IDS[1]} 127.0.0.1:7001@17001 slave {IDS[0]} 0 1795479634539 5 connected
{IDS[2]} :0@0 master,fail?,noaddr - 1795479634539 0 2 disconnected 100-199
"""


def test_each_line_is_a_member():
    """Its role, its link, its slots; slots that are being moved are the source's still."""
    first, second, third = parse_members(NODES).values()
    assert first.slots == (range(100), range(7, 8), range(200, 202))
    assert (first.primary, first.epoch, first.linked) == (None, 5, True)
    assert (second.primary, second.slots) == (IDS[0], ())
    assert third.flags == {"master", "fail?", "noaddr"}
    assert not third.linked


def test_a_node_that_does_not_know_its_host_is_where_it_was_asked():
    """The port is its own."""
    known, _, unknown = parse_members(NODES.replace(":0@0", ":7002@17002")).values()
    asked = Address("10.0.0.1", 6379)
    assert known.address_from(asked) == Address("127.0.0.1", 7000)
    assert unknown.address_from(asked) == Address("10.0.0.1", 7002)
