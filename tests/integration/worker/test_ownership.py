"""Who runs what: leases, even shares, and never two at the same time."""

from __future__ import annotations

import json
import threading
from collections import Counter

from geartrain import GearsBuilder, execute, keys
from geartrain.worker.assignment import share
from geartrain.worker.discovery import Discovery
from support.waiting import wait_for

ONE_AT_A_TIME = """
from geartrain.runtime import streamKey

def note(record):
    if execute("incr", f"running:{streamKey()}") != 1:
        execute("incr", "overlaps")
    execute("rpush", "seen", f"{streamKey()} {record['n']}")
    execute("decr", f"running:{streamKey()}")

GearsBuilder("StreamReader").foreach(note).register("in:*")
"""


def noting():
    """Write down each record's field `a`."""
    return GearsBuilder("StreamReader").foreach(lambda record: execute("rpush", "seen", record["a"]))


def waiting():
    """Write down that a record was started; then wait until there is something in `gate`; then write it down again."""

    def wait(record):
        execute("rpush", "started", record["a"])
        execute("brpoplpush", "gate", "gate", 20)
        execute("rpush", "seen", record["a"])

    return GearsBuilder("StreamReader").foreach(wait)


def owners(place, registration):
    """How many partitions each worker has."""
    return Counter(item.owner for item in place.client.show(registration).partitions)


def halves(place, registration, *workers):
    """Whether two workers have 21 partitions between them; while partitions move, some have no owner (None)."""
    found = owners(place, registration)
    return found.keys() == {worker.id for worker in workers} and sorted(found.values()) == [10, 11]


def test_workers_share_partitions_evenly(everywhere):
    """One has all 21; with two it is 11 and 10; with three 7 each; and again two when one has stopped."""
    place = everywhere
    for number in range(21):
        place.add(f"s:{number}")
    registration = place.register(noting(), "s:*")
    first = place.start(lease_ttl=60)
    place.wait_done(registration, triggered=21)
    assert owners(place, registration) == {first.id: 21}
    second = place.start(lease_ttl=60)
    wait_for(lambda: halves(place, registration, first, second))
    third = place.start(lease_ttl=60)
    wait_for(lambda: owners(place, registration) == {first.id: 7, second.id: 7, third.id: 7})
    second.stop()
    wait_for(lambda: halves(place, registration, first, third))


def test_streams_that_are_found_while_the_shares_are_worked_out_are_not_forgotten(place, monkeypatch):
    """The next look takes them in, without waiting for anything else to change."""
    begun = []
    asked = threading.Event()

    def late_scan(discovery, patterns, scan=Discovery._scan):
        asked.wait(10)
        scan(discovery, patterns)

    def slow_share(registrations, streams, *others):
        owned = share(registrations, streams, *others)
        if None in streams.values() and begun and begun[0].worker._deployments.current:
            asked.set()
            wait_for(lambda: begun[0].worker._discovery.streams(b"s:*") and begun[0].worker._wake.is_set())
        return owned

    monkeypatch.setattr(Discovery, "_scan", late_scan)
    monkeypatch.setattr("geartrain.worker.worker.share", slow_share)
    place.add("s:1", "a", "x")
    place.register(noting(), "s:*")
    begun.append(place.begin())
    begun[0].wait_ready()
    assert place.seen(1) == ["x"]


def test_a_worker_that_stops_gives_its_partitions_up_at_once(place):
    """With a lease time of a minute, the other one takes them over without waiting for it."""
    registration = place.register(noting(), "s:*")
    for number in range(10):
        place.add(f"s:{number}")
    first = place.start(lease_ttl=60)
    place.seen(10)
    second = place.start(lease_ttl=60)
    first.stop()
    wait_for(lambda: owners(place, registration) == {second.id: 10})
    for number in range(10):
        place.add(f"s:{number}")
    place.seen(20)
    place.wait_done(registration, triggered=20)
    second.stop()
    assert owners(place, registration) == {None: 10}
    assert place.link.call("HLEN", keys.WORKERS) == 0


def test_a_dead_workers_partitions_are_taken_when_its_lease_expires(place):
    """A lease of a worker that does not exist (any more) holds the partition for its remaining time only."""
    registration = place.register(noting(), "s")
    place.link.call("SET", keys.lease(registration, b"s"), "dead", "PX", 700)
    place.add("s", "a", "x")
    place.begin()
    assert place.link.call("EXISTS", "seen") == 0
    assert place.seen(1) == ["x"]


def test_a_dead_workers_entry_goes_away(place):
    """What has expired is removed from the list of workers, and gets no share."""
    entry = {"expires": 1.0, "python": "3.11", "refused": [], "host": "h", "pid": 1, "started": 0.0}
    place.link.call("HSET", keys.WORKERS, "dead", json.dumps(entry))
    registration = place.register(noting(), "s:*")
    for number in range(4):
        place.add(f"s:{number}")
    worker = place.start()
    place.wait_done(registration, triggered=4)
    assert place.link.call("HKEYS", keys.WORKERS) == [worker.id]


def test_only_one_worker_runs_a_partition_at_a_time(place):
    """While workers come and go, no stream is executed by two of them, every entry is, and in order."""
    place.client.execute(ONE_AT_A_TIME, session="script")
    streams = [f"in:{number}" for number in range(6)]
    for stream in streams:
        place.add(stream, "n", 0)
    workers = [place.start()]
    for turn in range(1, 7):
        place.link.pipeline([("XADD", stream, "*", "n", turn * 100 + n) for n in range(50) for stream in streams])
        if turn % 3:
            workers.append(place.start())
        else:
            workers.pop(0).stop()
    total = len(streams) * (1 + 6 * 50)
    place.wait_info("script/StreamReader:in:*", lambda info: info.lag == 0 and info.records >= total, timeout=30)
    assert place.link.call("GET", "overlaps") is None
    seen = place.seen(total)
    for stream in streams:
        numbers = [int(text.partition(" ")[2]) for text in seen if text.startswith(f"{stream} ")]
        assert numbers == sorted(numbers)
        assert len(numbers) == 301


def test_a_batch_that_ends_after_the_lease_was_lost_is_not_committed(everywhere):
    """The offset stays where it was; whoever has the lease next runs the batch again."""
    place = everywhere
    registration = place.register(waiting(), "s")
    place.add("s", "a", "x")
    place.start()
    place.seen(1, "started")
    lease = keys.lease(registration, b"s")
    place.link.call("SET", lease, "stranger")
    place.link.call("RPUSH", "gate", "open")
    place.seen(1)
    # The worker has found out when it asks for the lease again; it runs nothing before it has it.
    wait_for(lambda: place.info(registration).succeeded == 1)
    assert place.groups("s")[f"geartrain:{registration}"]["last-delivered-id"] == "0-0"
    assert place.link.call("GET", lease) == "stranger"
    assert place.link.call("LLEN", "started") == 1
    place.link.call("DEL", lease)
    place.seen(2)
    place.wait_done(registration)


def test_a_partition_is_not_taken_again_while_a_commit_of_its_last_owner_is_under_way(place):
    """Also where that was this worker itself: its commit would pass for one of the next owner."""
    registration = place.register(waiting(), "s")
    place.link.call("RPUSH", "gate", "open")
    worker = place.start(lease_ttl=0.9, commit_interval=3.0)
    first = place.add("s", "a", "1")
    wait_for(lambda: place.groups("s").get(f"geartrain:{registration}", {}).get("last-delivered-id") == first)
    place.add("s", "a", "2")
    # Executed, and committed only in some seconds.
    place.seen(2)
    place.link.call("DEL", "gate")
    place.link.call("DEL", keys.lease(registration, b"s"))
    assert place.seen(3, "started") == ["1", "2", "2"]
    assert not worker.worker._committer._queue
    assert place.groups("s")[f"geartrain:{registration}"]["last-delivered-id"] == first
    place.link.call("RPUSH", "gate", "open")
    place.wait_done(registration, triggered=3)


def test_a_worker_that_still_loads_leaves_the_others_their_partitions(place):
    """Code that takes long to load (`onRegistered` here) costs no stream its executions meanwhile."""

    def prepare():
        if execute("incr", "prepared") == 2:
            execute("brpoplpush", "gate", "gate", 20)

    registration = place.register(noting(), "s:*", onRegistered=prepare)
    for number in range(10):
        place.add(f"s:{number}", "a", "before")
    first = place.start()
    place.seen(10)
    second = place.begin()
    wait_for(lambda: place.link.call("GET", "prepared") == "2")
    wait_for(lambda: place.link.call("HLEN", keys.WORKERS) == 2)
    for number in range(10):
        place.add(f"s:{number}", "a", "while it loads")
    place.seen(20)
    assert owners(place, registration) == {first.id: 10}
    place.link.call("RPUSH", "gate", "open")
    second.wait_ready()
    wait_for(lambda: owners(place, registration) == {first.id: 5, second.id: 5})


def test_a_registration_that_one_worker_cannot_run_is_run_by_another(place, monkeypatch):
    """The refusal is shown; a worker that has what it needs takes all of it."""
    monkeypatch.setenv("GEARTRAIN_SECRET", "one")
    registration = place.register(noting(), "s:*")
    for number in range(4):
        place.add(f"s:{number}", "a", "x")
    monkeypatch.setenv("GEARTRAIN_SECRET", "another")
    refusing = place.start()
    info = place.wait_info(registration, lambda info: info.last_error)
    assert "GEARTRAIN_SECRET" in info.last_error
    assert place.link.call("EXISTS", "seen") == 0
    monkeypatch.setenv("GEARTRAIN_SECRET", "one")
    able = place.start()
    place.seen(4)
    place.wait_done(registration, triggered=4)
    assert owners(place, registration) == {able.id: 4}
    assert refusing.running
