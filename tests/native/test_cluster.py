"""A node of a cluster: its outboxes are in a slot of its own, and follow when it has others."""

from __future__ import annotations

from support.hooks import captured, listing, outbox, set_hook
from support.waiting import wait_for


def test_an_outbox_is_in_a_slot_of_the_node(fresh_server, module_flavour, connect):
    """Whichever slots it has; when these change, later entries are in another outbox."""
    options = {"cluster-enabled": "yes", "cluster-require-full-coverage": "no"}
    link = connect(fresh_server(module_flavour, module={}, options=options))

    def slot():
        return link.call("CLUSTER", "KEYSLOT", outbox(link))

    link.call("CLUSTER", "ADDSLOTSRANGE", 8000, 16383)
    wait_for(lambda: "cluster_state:ok" in link.call("CLUSTER", "INFO"), 20)
    wait_for(lambda: slot() >= 8000)
    set_hook(link)
    key = next(f"k{number}" for number in range(1000) if link.call("CLUSTER", "KEYSLOT", f"k{number}") > 9000)
    link.call("SET", key, 1)
    assert captured(link) == [("set", key.encode())]
    before, tag = outbox(link), listing(link)["tag"]
    link.call("DEL", before)
    link.call("CLUSTER", "DELSLOTSRANGE", 8000, 9000)
    wait_for(lambda: listing(link)["tag"] != tag)
    assert slot() > 9000
    link.call("SET", key, 2)
    assert captured(link) == [("set", key.encode())]
