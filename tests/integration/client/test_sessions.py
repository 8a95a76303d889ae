"""Sessions of programs, and upgrades."""

from __future__ import annotations

import sys

import pytest

from geartrain import ArgumentError, Client, GearsBuilder, execute
from geartrain.registry import Store, open_parcel


def handle(record):
    """A function of this module, for a step."""
    return record["n"]


def test_what_a_block_registers_is_submitted_at_its_end(client):
    """register(), run() and execute() of the block work on the client's server."""
    with client.session("program") as outcome:
        execute("XADD", "s", "1-1", "n", 1)
        assert GearsBuilder("StreamReader").map(handle).run("s") == ["1"]
        name = GearsBuilder("StreamReader").foreach(handle).register("s")
        assert client.registrations() == []
    assert outcome.registered == [name] == ["program/StreamReader:s"]
    assert outcome.submitted.added == ("program/StreamReader:s",)
    assert [info.id for info in client.registrations()] == [name]


def test_a_block_that_raises_submits_nothing(client):
    """The error comes through as it is."""

    def program():
        with client.session("program"):
            GearsBuilder("StreamReader").register("s")
            raise KeyError

    with pytest.raises(KeyError):
        program()
    assert client.registrations() == []


def test_after_the_block_there_is_no_session(client):
    """register() outside of a block says what to do."""
    with client.session("program"):
        pass
    with pytest.raises(ArgumentError, match="called outside of a session"):
        GearsBuilder("StreamReader").register("s")


def test_modules_that_workers_lack_travel_by_value(client, link):
    """`by_value` takes the functions of a module along."""
    with client.session("program", by_value=[sys.modules[__name__]]):
        GearsBuilder("StreamReader").map(handle).register("s")
    parcel = Store(link).parcel("program")
    assert b"A function of this module, for a step" in parcel.blob
    assert open_parcel(parcel)[0].steps[0].functions[0]({"n": 3}) == 3


def test_a_client_takes_its_url_from_the_environment(valkey, monkeypatch):
    """GEARTRAIN_URL, where no URL is given."""
    monkeypatch.setenv("GEARTRAIN_URL", valkey.url)
    with Client() as client:
        assert client.endpoint.url == valkey.url
        assert client.registrations() == []


def test_submitting_again_upgrades(client):
    """What is still there takes the new code, what is new starts, what is missing goes."""
    client.execute("GB('StreamReader').register('a')\nGB('StreamReader').register('b')", session="shop")
    outcome = client.execute(
        "GB('StreamReader', desc='new').register('b', batch=5)\nGB('StreamReader').register('c')", session="shop"
    )
    assert outcome.submitted.added == ("shop/StreamReader:c",)
    assert outcome.submitted.upgraded == ("shop/StreamReader:b",)
    assert outcome.submitted.removed == ("shop/StreamReader:a",)
    details = client.show("shop/StreamReader:b")
    assert (details.info.version, details.info.description, details.arguments["batch"]) == (2, "new", 5)


def test_an_id_belongs_to_one_session(client):
    """Another session cannot take a registration's name away."""
    client.execute("GB('StreamReader').register('a', name='mine')", session="one")
    with pytest.raises(ArgumentError, match="'mine' belongs to session 'one'; choose another name="):
        client.execute("GB('StreamReader').register('a', name='mine')", session="two")
    assert [info.session for info in client.registrations()] == ["one"]
