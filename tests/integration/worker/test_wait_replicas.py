"""`wait_replicas`: what is committed is on replicas, with its effects."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from geartrain import GearsBuilder, execute
from geartrain.wire import Endpoint, Link
from support.waiting import wait_for
from support.working import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geartrain.server import EmbeddedServer


@pytest.fixture
def primary(fresh_server) -> EmbeddedServer:
    """A server that may have a replica."""
    return fresh_server()


@pytest.fixture
def replica(primary, fresh_server) -> EmbeddedServer:
    """Its replica, which has its data."""
    server = fresh_server()
    with Link(Endpoint(server.url)) as link:
        link.call("REPLICAOF", "127.0.0.1", primary.port)
        wait_for(lambda: "master_link_status:up" in link.call("INFO", "replication"), 30)
    return server


@pytest.fixture
def place(primary) -> Iterator[Workplace]:
    """The server, and workers for it."""
    with Workplace(primary.url) as place:
        yield place


@contextmanager
def stopped(server: EmbeddedServer) -> Iterator[None]:
    """It answers nobody."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def noting() -> GearsBuilder:
    """Writes down what comes."""
    return GearsBuilder("StreamReader").foreach(lambda record: execute("rpush", "seen", record["streamId"]))


def committed(place: Workplace, name: str) -> str:
    """The offset of the registration."""
    return str(place.groups("orders")[f"geartrain:{name}"]["last-delivered-id"])


def test_nothing_is_committed_that_no_replica_has(place, replica):
    """The function has run, and its entry waits for the replica."""
    name = place.register(noting(), "orders")
    first = place.add("orders")
    place.start(wait_replicas=1, wait_timeout=20)
    place.wait_done(name)
    with stopped(replica):
        second = place.add("orders")
        assert place.seen(2) == [first, second]
        place.link.call("SET", "other", "client")
        assert committed(place, name) == first
    wait_for(lambda: committed(place, name) == second)
    assert place.wait_done(name, 2).unreplicated == 0


def test_without_it_the_server_alone_decides(place, replica):
    """As before: what is committed may be lost in a failover, together with its effects or alone."""
    name = place.register(noting(), "orders")
    place.add("orders")
    place.start()
    place.wait_done(name)
    with stopped(replica):
        last = place.add("orders")
        wait_for(lambda: committed(place, name) == last)


def test_replicas_that_do_not_answer_in_time_are_counted_and_work_goes_on(place, replica, caplog):
    """The log says so, once in a while."""
    name = place.register(noting(), "orders")
    place.add("orders")
    place.start(wait_replicas=1, wait_timeout=0.05)
    place.wait_done(name)
    with stopped(replica):
        for _ in range(3):
            place.add("orders")
            place.wait_info(name, lambda info: info.lag == 0)
        place.wait_info(name, lambda info: info.triggered == 4 and info.unreplicated == 3)
    told = [record.getMessage() for record in caplog.records if "wait_replicas" in record.getMessage()]
    assert len(told) == 1
    assert f"0 of 127.0.0.1:{place.link.shards[0].primary.port} acknowledged within 0.05 s" in told[0]


def test_a_run_whose_connection_is_lost_before_replicas_have_its_effects_is_executed_again(place, replica):
    """Nobody can tell what the new primary has: several batches are repeated, in order, then committed."""

    def note_and_lose(record):
        number = int(record["number"])
        connection = execute("client", "id")
        execute("rpush", "seen", number)
        if number == 2 and execute("incr", "tries") == 1:
            with Link(Endpoint(url)) as other:
                other.call("CLIENT", "KILL", "ID", connection)

    url = place.url
    name = place.register(GearsBuilder("StreamReader").foreach(note_and_lose), "orders")
    for number in range(5):
        place.add("orders", "number", number)
    place.start(wait_replicas=1, threads=1)
    place.wait_done(name, 5)
    seen = [int(number) for number in place.link.call("LRANGE", "seen", 0, -1)]
    assert seen[:3] == [0, 1, 2]
    again = seen[3]
    # From the first that replicas had not acknowledged by then.
    assert again <= 2
    assert seen[3:] == list(range(again, 5))


def test_a_failure_that_is_left_behind_is_waited_for_too(place, replica):
    """`onFailedPolicy='continue'`: the batch is done, with what it did before it failed."""

    def fail(record):
        execute("rpush", "seen", record["streamId"])
        raise ValueError

    name = place.register(GearsBuilder("StreamReader").foreach(fail), "orders", onFailedPolicy="continue")
    place.start(wait_replicas=1, wait_timeout=20)
    place.add("orders")
    place.wait_info(name, lambda info: info.lag == 0 and info.failed == 1)
    with stopped(replica):
        last = place.add("orders")
        place.seen(2)
        assert committed(place, name) != last
    wait_for(lambda: committed(place, name) == last)
