"""The client and the server module: hooks are there when `register` returns, and gone when `unregister` does."""

from __future__ import annotations

import pytest

from geartrain import Client, NeedsModule
from geartrain.registry import Status, Store, hooks

SCRIPT = "GB().foreach(print).register('k:*', name='keys')\nGB('StreamReader').register('s', name='stream')"


@pytest.fixture
def valkey(module_server):
    """The server of `client` and `link`, in this file: one with the module, of each flavour in turn."""
    return module_server


def hooked(link):
    """The ids of the module's hooks."""
    return [item[0] for item in link.call("GEARTRAIN.HOOK", "LIST")[5]]


def test_hooks_follow_every_change_at_once(client, link):
    """Without a worker."""
    outcome = client.execute(SCRIPT, session="shop")
    assert (outcome.warnings, hooked(link)) == ([], ["keys"])
    client.pause("keys")
    assert hooked(link) == ["keys"]
    client.resume("keys")
    client.execute("GB('StreamReader').register('s', name='stream')", session="shop")
    assert hooked(link) == []
    client.execute(SCRIPT, session="shop")
    client.unregister_session("shop")
    assert hooked(link) == []


def test_a_registration_is_shown_with_what_the_module_counts(client, link):
    """Delivery, what waits, and what found the outbox full; no worker has come yet."""
    client.execute("GB().register('k:*', name='keys', outboxLimit=2)")
    assert client.show("keys").info.lag == 0
    link.pipeline([("SET", f"k:{number}", "x") for number in range(5)])
    shown = client.show("keys")
    assert (shown.info.delivery, shown.info.lag, shown.info.dropped, shown.owner) == ("at-least-once", 2, 3, None)
    assert [(item.lag, item.owner) for item in shown.partitions] == [(2, None)]


def test_the_user_who_registers_is_kept(client, link, module_server):
    """For `mode='sync'`, whose commands have their permissions."""
    link.call("ACL", "SETUSER", "alice", "on", ">secret", "~*", "&*", "+@all")
    with Client(f"redis://alice:secret@127.0.0.1:{module_server.port}") as alice:
        alice.execute(SCRIPT)
    assert Store(link).snapshot().registrations["keys"].user == "alice"


def test_who_may_not_set_hooks_is_told_what_that_means(client, link, module_server):
    """It is registered all the same; pausing and removing work too."""
    link.call("ACL", "SETUSER", "bob", "on", ">secret", "~*", "&*", "+@all", "-geartrain.hook")
    with Client(f"redis://bob:secret@127.0.0.1:{module_server.port}") as bob:
        (warning,) = bob.execute(SCRIPT).warnings
        assert warning.startswith("keys: the server has the module, and this user may not use GEARTRAIN.HOOK")
        assert "grant +geartrain.hook; nothing is captured until" in warning
        with pytest.raises(NeedsModule, match=r"grant \+geartrain\.hook"):
            bob.execute("GB().register('k:*', mode='sync')")
        bob.pause("keys")
        assert [info.id for info in bob.registrations()] == ["keys", "stream"]
        bob.unregister("keys")
    assert hooked(link) == []


def test_a_reconciliation_never_works_with_an_old_registry(client, link, module_server, monkeypatch):
    """A registration that comes while hooks are compared keeps its hook."""
    client.execute(SCRIPT, session="shop")
    late = Client(module_server.url)
    original = hooks.differences
    calls = []

    def differences(module, snapshot):
        found = original(module, snapshot)
        if not calls:
            calls.append(1)
            late.execute("GB().register('l:*', name='late')", session="late")
        return found

    store = Store(link)
    link.call("GEARTRAIN.HOOK", "DEL", "keys")
    monkeypatch.setattr(hooks, "differences", differences)
    hooks.reconcile(store)
    late.close()
    assert sorted(hooked(link)) == sorted(hooks.read(link).hooks) == ["keys", "late"]


def test_remains_of_a_registration_that_has_come_again_stay(client, link):
    """Whoever clears away late must not take the events of its successor."""
    client.execute(SCRIPT)
    link.call("SET", "k:1", "x")
    Store(link).remove_remains(["keys"])
    assert client.show("keys").info.lag == 1


def test_the_modules_reason_is_shown_as_the_last_error(client, link):
    """Unless something failed since the registration."""
    client.execute(SCRIPT)
    link.call("SET", "k:0", "x")
    (partition,) = client.show("keys").partitions
    link.pipeline([("DEL", partition.stream), ("SET", partition.stream, "no stream"), ("SET", "k:1", "x")])
    info = client.show("keys").info
    assert "something else than a stream" in info.last_error
    assert info.status is Status.ACTIVE
