"""Looking after registrations: list, show, pause, resume, unregister."""

from __future__ import annotations

import pytest

from geartrain import ArgumentError, Client, UnknownRegistration, keys
from geartrain.registry import Status
from geartrain.wire import Endpoint, Link

SHOP = """
GB('StreamReader', desc='totals').register('orders:*', batch=10, duration=100, name='totals')
GB('KeysReader').register('k*', eventTypes=['SET'])
"""


@pytest.fixture
def shop(client):
    """A session with two registrations."""
    return client.execute(SHOP, session="shop", path="shop.py")


def states(client):
    """Id -> status."""
    return {info.id: info.status for info in client.registrations()}


def test_a_registration_is_listed_with_all_that_it_is(client, shop):
    """By id; nothing has happened yet."""
    first, second = client.registrations()
    assert (first.id, second.id) == ("shop/KeysReader:k*", "totals")
    assert (second.session, str(second.reader), second.pattern, str(second.mode), second.description) == (
        "shop",
        "StreamReader",
        "orders:*",
        "async",
        "totals",
    )
    assert (second.status, second.version, second.triggered, second.lag, second.last_error) == (
        Status.ACTIVE,
        1,
        0,
        None,
        None,
    )


def test_arguments_are_shown_by_the_specifications_names(client, shop):
    """As they were given, the defaults included."""
    assert client.show("totals").arguments == {
        "batch": 10,
        "duration": 100,
        "onFailedPolicy": "retry",
        "onFailedRetryInterval": 1,
        "maxRetries": None,
        "trimStream": False,
        "fromId": "0-0",
    }
    assert client.show("shop/KeysReader:k*").arguments == {
        "eventTypes": ("set",),
        "keyTypes": None,
        "commands": None,
        "readValue": True,
        "snapshot": False,
        "partitions": 1,
        "outboxLimit": None,
    }


def test_lag_and_owner_of_each_stream_are_shown(client, shop, link):
    """From the consumer group and the lease that workers keep; the lag in the list is the sum."""
    for stream, entries in (("orders:1", 3), (b"orders:\xff", 2)):
        link.pipeline([("XADD", stream, f"{number + 1}-1", "n", number) for number in range(entries)])
        link.call("XGROUP", "CREATE", stream, keys.group("totals"), "0")
        link.call("SADD", keys.streams("totals"), stream)
    link.call("SET", keys.lease("totals", b"orders:1"), "worker-1")
    found = [(item.stream, item.lag, item.owner) for item in client.show("totals").partitions]
    assert found == [("orders:1", 3, "worker-1"), (b"orders:\xff", 2, None)]
    assert {info.id: info.lag for info in client.registrations()} == {"totals": 5, "shop/KeysReader:k*": None}


@pytest.mark.servers("redis-6.2", "redis-8.2", "valkey-9.1")
def test_lag_is_known_on_every_server(url):
    """Before 7.0 servers keep no count: the entries after the group's offset are counted."""
    with Client(url) as client, Link(Endpoint(url)) as link:
        client.execute(SHOP, session="shop")
        link.pipeline([("XADD", "orders:1", f"{number}-1", "n", number) for number in range(1, 6)])
        link.call("XGROUP", "CREATE", "orders:1", keys.group("totals"), "2-1")
        link.call("SADD", keys.streams("totals"), "orders:1")
        assert client.show("totals").info.lag == 3


def test_a_registration_pauses_and_resumes(client, shop):
    """Only the one that was named."""
    client.pause("totals")
    assert states(client) == {"totals": Status.PAUSED, "shop/KeysReader:k*": Status.ACTIVE}
    client.resume("totals")
    assert states(client)["totals"] is Status.ACTIVE


def test_a_paused_registration_stays_paused_when_its_session_is_submitted_again(client, shop):
    """An upgrade is no resume; for an aborted one new code is a new beginning."""
    client.pause("totals")
    client._store.set_status(Status.ABORTED, "shop/KeysReader:k*")
    client.execute(SHOP, session="shop")
    assert states(client) == {"totals": Status.PAUSED, "shop/KeysReader:k*": Status.ACTIVE}


def test_unregister_leaves_nothing_behind(client, shop, link):
    """Groups, leases, statistics, history; with the last registration, its session and code."""
    link.call("XADD", "orders:1", "1-1", "n", 1)
    link.call("XGROUP", "CREATE", "orders:1", keys.group("totals"), "0")
    link.call("SADD", keys.streams("totals"), "orders:1")
    link.call("SET", keys.lease("totals", b"orders:1"), "worker-1")
    link.call("HSET", keys.stats("totals"), "triggered", 1)
    link.call("RPUSH", keys.history("totals"), "{}")
    client.unregister("totals")
    assert link.call("XINFO", "GROUPS", "orders:1") == []
    client.unregister("shop/KeysReader:k*")
    assert link.call("KEYS", "geartrain:*") == ["geartrain:{registry}:version"]
    assert link.call("KEYS", "orders:*") == ["orders:1"]


def test_a_whole_session_is_unregistered(client, shop):
    """All its registrations, and no other's."""
    client.execute("GB('StreamReader').register('s')", session="other")
    assert client.unregister_session("shop") == ["shop/KeysReader:k*", "totals"]
    assert list(states(client)) == ["other/StreamReader:s"]


@pytest.mark.parametrize("verb", ["show", "pause", "resume", "unregister", "unregister_session"])
def test_what_is_not_there_is_named(client, shop, verb):
    """Every call says what it did not find, and where to look; a part of an id is not enough for a program."""
    with pytest.raises(UnknownRegistration, match="'tot'; `geartrain ls` shows those that there are"):
        getattr(client, verb)("tot")


def test_a_part_of_an_id_finds_it_where_there_is_only_one(client, shop):
    """An exact id comes first; a part of several is an error that names them."""
    assert client.find("tot") == "totals"
    client.execute("GB('StreamReader').register('s', name='totals:all')", session="more")
    assert client.find("totals") == "totals"
    with pytest.raises(ArgumentError, match="'tot' is a part of 2 ids: totals, totals:all; write more of the id"):
        client.find("tot")


def test_every_change_makes_another_version(client, shop):
    """Which is how workers notice."""
    seen = [client._store.version()]
    for change in (
        lambda: client.pause("totals"),
        lambda: client.resume("totals"),
        lambda: client.execute(SHOP, session="shop"),
        lambda: client.unregister("totals"),
    ):
        change()
        seen.append(client._store.version())
    assert seen == sorted(set(seen))
