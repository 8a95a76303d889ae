"""Registrations that change, and modules that come and go, while key events are captured."""

from __future__ import annotations

import pytest

from geartrain import GearsBuilder, execute, keys
from geartrain.server import EmbeddedServer
from support.waiting import wait_for
from support.working import Workplace

UPGRADES = [(1, 4), (4, 1), (4, 2)]


def noting(tag="-", out="out:seen"):
    """Write down each key with a tag; what is written does not trigger: `out:*` is not looked at."""
    return GearsBuilder("KeysReader").foreach(lambda record: execute("rpush", out, f"{tag} {record['key']}"))


def seen(place, count):
    """What was written down, once there is so much."""
    return place.seen(count, "out:seen")


def hooks_of(link):
    """The module's hooks: id -> version."""
    return {item[0]: int(item[1]) for item in link.call("GEARTRAIN.HOOK", "LIST")[5]}


def outboxes(place):
    """The names of all outboxes that there are."""
    return sorted(key for key in place.link.call("KEYS", "geartrain:*") if keys.is_outbox(key.encode()))


def reconnect(place):
    """To a server that is another process than before."""
    place.link.close()
    place.client.close()


def begin_again(server, place):
    """Kill and restart a server, and connect to it again."""
    server.kill()
    server.restart()
    reconnect(place)


def write(place, *numbers):
    """Touch keys."""
    place.link.pipeline([("SET", f"k:{number}", "x") for number in numbers])


def test_an_upgrade_executes_what_waits_with_the_new_code(captured):
    """And captures what the new pattern says."""
    place = captured
    registration = place.register(noting("old"), "k:*", name="noting")
    write(place, 1)
    place.register(noting("new"), "[kl]:*", name="noting")
    place.link.call("SET", "l:2", "x")
    place.start()
    assert seen(place, 2) == ["new k:1", "new l:2"]
    place.wait_done(registration, 2)


@pytest.mark.parametrize(("before", "after"), UPGRADES)
def test_other_partitions_are_read_when_the_old_ones_are_empty(captured, before, after):
    """A key's events keep their order; the old outboxes are removed, also those that no worker had opened."""
    place = captured
    registration = place.register(noting(), "k:*", name="noting", partitions=before)
    for value in range(10):
        place.link.pipeline([("SET", f"k:{number}", value) for number in range(20)])
    builder = GearsBuilder("KeysReader").foreach(lambda r: execute("rpush", f"out:{r['key']}", r["event"]))
    place.register(builder, "k:*", name="noting", partitions=after)
    place.link.pipeline([("APPEND", f"k:{number}", "x") for number in range(20)])
    place.start()
    place.wait_info(registration, lambda info: info.triggered == 220)
    for number in range(20):
        assert place.link.call("LRANGE", f"out:k:{number}", 0, -1) == ["set"] * 10 + ["append"]
    tag = place.link.call("GEARTRAIN.HOOK", "LIST")[1].encode()
    wanted = {name.decode() for name in keys.outboxes(tag, "noting", after)}
    wait_for(lambda: set(outboxes(place)) <= wanted)
    wait_for(lambda: set(place.link.call("SMEMBERS", keys.streams("noting"))) == wanted)


def test_events_of_a_paused_registration_wait(captured):
    """They are captured all the same, and executed after the resumption."""
    place = captured
    registration = place.register(noting(), "k:*")
    worker = place.start()
    place.client.pause(registration)
    wait_for(lambda: not worker.worker._ownership.open)
    write(place, 1, 2)
    assert place.info(registration).lag == 2
    place.client.resume(registration)
    assert seen(place, 2) == ["- k:1", "- k:2"]


@pytest.mark.parametrize("partitions", [1, 3])
def test_unregister_removes_hook_and_outboxes(captured, partitions):
    """Whether or not a worker runs; what is touched later leaves nothing."""
    place = captured
    for start in (lambda: None, place.start):
        registration = place.register(noting(), "k:*", partitions=partitions)
        write(place, *range(10))
        start()
        place.client.unregister(registration)
        write(place, *range(10))
        assert hooks_of(place.link) == {}
        wait_for(lambda: place.own_keys() == set())


def test_removal_spares_the_outbox_of_a_registration_with_a_similar_name(captured):
    """`noting:1` is another registration than partition 1 of `noting`."""
    place = captured
    with place.client.session("test"):
        noting().register("k:*", name="noting:1")
    with place.client.session("other"):
        noting().register("l:*", name="noting")
    write(place, 1)
    place.client.unregister("noting")
    assert place.info("noting:1").lag == 1


def test_a_registration_that_comes_again_begins_with_its_new_events(captured):
    """Removed and registered again under a worker that still clears away what it left."""
    place = captured
    place.start()
    for number in range(10):
        registration = place.register(noting(), "k:*")
        write(place, number)
        assert seen(place, number + 1)[-1] == f"- k:{number}"
        place.client.unregister(registration)


def test_hooks_that_somebody_deleted_come_back(captured):
    """A worker looks after them."""
    place = captured
    registration = place.register(noting(), "k:*")
    place.start()
    place.link.call("GEARTRAIN.HOOK", "DEL", registration)
    place.link.call("GEARTRAIN.HOOK", "SET", "nobody's", 1)
    wait_for(lambda: registration in hooks_of(place.link))
    assert list(hooks_of(place.link)) == [registration]
    write(place, 1)
    assert seen(place, 1) == ["- k:1"]


def test_a_hook_that_was_left_behind_is_removed_with_what_it_captured(captured):
    """A client that was late has set it for what is gone; nothing else is registered."""
    place = captured
    registration = place.register(noting(), "k:*")
    place.client._store.unregister(registration)
    place.link.call("GEARTRAIN.HOOK", "SET", registration, 1, "pattern", "k:*")
    write(place, 1)
    assert len(outboxes(place)) == 1
    place.start()
    assert (hooks_of(place.link), outboxes(place)) == ({}, [])


def test_a_hook_of_an_older_version_is_replaced(captured):
    """As after a restart from an older file."""
    place = captured
    registration = place.register(noting(), "k:*")
    version = hooks_of(place.link)[registration]
    place.link.call("GEARTRAIN.HOOK", "SET", registration, version - 1, "pattern", "other")
    place.start()
    assert hooks_of(place.link) == {registration: version}
    write(place, 1)
    assert seen(place, 1) == ["- k:1"]


def test_an_emptied_server_is_served_again_once_something_is_registered(captured):
    """FLUSHALL takes hooks, outboxes and the registry."""
    place = captured
    place.register(noting("before"), "k:*", partitions=2)
    worker = place.start()
    write(place, 1)
    seen(place, 1)
    place.link.call("FLUSHALL")
    assert hooks_of(place.link) == {}
    registration = place.register(noting("after"), "k:*")
    wait_for(lambda: worker.code_versions(registration) == {hooks_of(place.link)[registration]})
    write(place, 2, 3)
    assert seen(place, 2) == ["after k:2", "after k:3"]
    place.wait_done(registration, 2)


def test_events_and_hooks_survive_a_restart(fresh_server, module_flavour):
    """With the append-only file; the worker stays."""
    server = fresh_server(module_flavour, aof="always", module={})
    with Workplace(server.url) as place:
        registration = place.register(noting(), "k:*")
        write(place, 1)
        begin_again(server, place)
        write(place, 2)
        assert place.info(registration).lag == 2
        place.start()
        assert seen(place, 2) == ["- k:1", "- k:2"]
        place.wait_done(registration, 2)
        begin_again(server, place)
        write(place, 3)
        assert seen(place, 3)[2] == "- k:3"


def take_hooks_out(link, registration):
    """Leave nothing in the append-only file that only the module can read."""
    link.call("GEARTRAIN.HOOK", "DEL", registration)
    link.call("CONFIG", "SET", "appendfsync", "always")
    link.call("BGREWRITEAOF")
    wait_for(lambda: "aof_rewrite_in_progress:0" in link.call("INFO", "persistence").splitlines())


def test_a_module_that_goes_and_comes_back_is_followed(fresh_server, module_flavour):
    """Without it notifications; with it the outbox; what waits in the outbox when it goes is executed all the same."""
    server = fresh_server(module_flavour, aof="always", module={})
    port, directory, binary = server.port, server.directory, server.binary
    with Workplace(server.url) as place:
        registration = place.register(noting(), "k:*")
        write(place, 1)
        take_hooks_out(place.link, registration)
        server.stop()
        with EmbeddedServer.start(port, directory, binary, module=False):
            reconnect(place)
            assert place.info(registration).delivery == "best-effort"
            place.start()
            assert seen(place, 1) == ["- k:1"]
            wait_for(lambda: place.link.call("PUBSUB", "NUMPAT") == 1)
            write(place, 2)
            assert seen(place, 2)[1] == "- k:2"
        with EmbeddedServer.start(port, directory, binary, module=True):
            reconnect(place)
            wait_for(lambda: place.info(registration).delivery == "at-least-once")
            write(place, 3)
            assert "- k:3" in seen(place, 3)
            wait_for(lambda: place.link.call("PUBSUB", "NUMPAT") == 0)
            write(place, 4)
            assert seen(place, 4)[-1] == "- k:4"
            place.wait_info(registration, lambda info: info.lag == 0)


def test_a_worker_that_may_not_look_after_hooks_says_so_and_leaves_the_events(captured):
    """They wait for one that may."""
    place = captured
    registration = place.register(noting(), "k:*")
    place.link.call("ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all", "-geartrain.hook")
    port = place.url.rpartition(":")[2].partition("/")[0]
    with Workplace(f"redis://worker:secret@127.0.0.1:{port}") as theirs:
        theirs.start()
        info = place.wait_info(registration, lambda info: info.last_error)
        assert "grant +geartrain.hook" in info.last_error
        write(place, 1)
        assert place.info(registration).lag == 1
    place.start()
    assert seen(place, 1) == ["- k:1"]


def test_without_the_module_a_worker_says_what_has_no_effect(place):
    """As the last error, until there is something newer."""
    registration = place.register(noting(), "k:*", partitions=3, outboxLimit=5, snapshot=True)
    place.start()
    info = place.wait_info(registration, lambda info: info.last_error)
    assert info.last_error == (
        "without the server module, key events are best effort, and without effect: snapshot=True, partitions=3,"
        " outboxLimit=5"
    )
    write(place, 1)
    assert seen(place, 1) == ["- k:1"]
