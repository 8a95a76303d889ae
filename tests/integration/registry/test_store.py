"""The registry's keys under concurrent changes, and what is trusted in them."""

from __future__ import annotations

import threading

import pytest

from geartrain import BadSignature, Client, PythonMismatch, UnknownRegistration, keys
from geartrain.builder import Mode, Reader, RegisterRequest, StreamArguments
from geartrain.client.host import SessionHost
from geartrain.client.scripts import Script
from geartrain.client.submitting import SessionTerms
from geartrain.config import Dialect
from geartrain.registry import Store, open_parcel
from geartrain.wire import Endpoint, Link

REQUEST = RegisterRequest(
    reader=Reader.STREAM,
    pattern="s",
    mode=Mode.ASYNC,
    name=None,
    description=None,
    arguments=StreamArguments(),
    steps=(),
    on_registered=None,
)


@pytest.fixture
def client(valkey):
    """A client of the same server."""
    with Client(valkey.url) as client:
        yield client


def submit(client, session="shop"):
    """Submit a session with one registration (scripts run in one thread at a time; submissions need not)."""
    host = SessionHost(session, client.endpoint, Dialect.GEARTRAIN)
    host.register(REQUEST)
    client._submit(host, [], Script("", "-"), SessionTerms())
    return host.outcome


def test_an_empty_database_has_an_empty_registry(link):
    """Version 0, nothing in it; reading writes nothing."""
    snapshot = Store(link).snapshot()
    assert (snapshot.version, snapshot.registrations, snapshot.status) == (0, {}, {})
    assert link.call("DBSIZE") == 0


def test_submissions_at_the_same_time_do_not_mix(valkey, link):
    """Three sessions, submitted by six threads: every submission counts once, and none is lost."""

    def work(number):
        with Client(valkey.url) as client:
            for _ in range(10):
                submit(client, f"session-{number % 3}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = Store(link)
    assert [(session.name, session.version) for session in store.sessions()] == [
        ("session-0", 20),
        ("session-1", 20),
        ("session-2", 20),
    ]
    snapshot = store.snapshot()
    assert len({item.code_version for item in snapshot.registrations.values()}) == 3


def test_a_snapshot_holds_what_was_submitted(client, link):
    """Registrations come back from their JSON as they were."""
    client.execute(
        "GB('StreamReader', desc='d').register('s', mode='async_local', batch=7, onFailedPolicy='abort', maxRetries=2,"
        " fromId='$', name='a')\n"
        "GB('KeysReader').register('k*', keyTypes=['HASH'], readValue=False, name='b')",
        session="shop",
        dialect=Dialect.REDISGEARS_1_2,
    )
    found = Store(link).snapshot().registrations
    assert (found["a"].mode, found["a"].arguments.batch, found["a"].arguments.max_retries) == (Mode.ASYNC_LOCAL, 7, 2)
    assert (found["a"].arguments.on_failed_policy, found["a"].arguments.from_id) == ("abort", "$")
    assert (found["b"].arguments.key_types, found["b"].arguments.read_value) == (("hash",), False)
    assert (found["a"].position, found["b"].position, found["a"].dialect) == (0, 1, Dialect.REDISGEARS_1_2)


def test_a_registration_keeps_the_time_of_its_first_submission(client, link):
    """Its code gets a new version each time; where it was removed in between, the time is new too."""
    store = Store(link)

    def submitted(name="a"):
        client.execute(f"GB('StreamReader').register('s', name={name!r})", session="shop")
        return store.snapshot().registrations[name]

    first, second = submitted(), submitted()
    assert first.since_ms == first.code_version
    assert second.since_ms == first.since_ms
    assert second.code_version > first.code_version
    submitted("b")
    assert submitted().since_ms > second.code_version


def test_code_that_was_signed_is_opened_with_the_same_secret_only(client, link, monkeypatch):
    """With GEARTRAIN_SECRET set, code that is unsigned, or signed with another secret, is not unpickled."""
    store = Store(link)
    submit(client)
    monkeypatch.setenv("GEARTRAIN_SECRET", "one")
    with pytest.raises(BadSignature, match="GEARTRAIN_SECRET is set here, and the code is not signed"):
        open_parcel(store.parcel("shop"))
    submit(client)
    assert len(open_parcel(store.parcel("shop"))) == 1
    monkeypatch.setenv("GEARTRAIN_SECRET", "two")
    with pytest.raises(BadSignature, match="is signed with another secret"):
        open_parcel(store.parcel("shop"))
    monkeypatch.delenv("GEARTRAIN_SECRET")
    assert len(open_parcel(store.parcel("shop"))) == 1


@pytest.mark.parametrize("field", ["blob", "signature"])
def test_code_that_was_changed_is_not_opened(client, link, monkeypatch, field):
    """One byte more in the code or in its signature is enough."""
    monkeypatch.setenv("GEARTRAIN_SECRET", "one")
    submit(client)
    with Link(Endpoint(link.endpoint.url)) as raw:
        script = "redis.call('HSET', KEYS[1], ARGV[1], redis.call('HGET', KEYS[1], ARGV[1]) .. 'x')"
        raw.call("EVAL", script, 1, keys.code("shop"), field)
    with pytest.raises(BadSignature):
        open_parcel(Store(link).parcel("shop"))


def test_signed_code_cannot_be_moved_to_another_session(client, link, monkeypatch):
    """The session's name is part of what is signed."""
    monkeypatch.setenv("GEARTRAIN_SECRET", "one")
    submit(client, "shop")
    link.call("COPY", keys.code("shop"), keys.code("other"))
    with pytest.raises(BadSignature):
        open_parcel(Store(link).parcel("other"))


def test_code_of_another_python_is_refused(client, link):
    """The message names both versions and what to do."""
    submit(client)
    link.call("HSET", keys.code("shop"), "python", "3.9")
    with pytest.raises(PythonMismatch, match=r"registered with Python 3\.9, and this is Python 3"):
        open_parcel(Store(link).parcel("shop"))


def test_a_session_that_is_not_there_is_named(link):
    """Its code and its source."""
    for read in (Store(link).parcel, Store(link).source):
        with pytest.raises(UnknownRegistration, match="there is no session 'nope'"):
            read("nope")
