"""What nodes say about a cluster, and slots as ranges."""

from __future__ import annotations

from geartrain.server.clusternodes import parse_members
from geartrain.server.slotmoves import spans

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


def test_slots_are_told_as_ranges():
    """In order, whatever order they come in, each once."""
    assert list(spans([3, 1, 2, 7, 2])) == [range(1, 4), range(7, 8)]
    assert list(spans([])) == []
