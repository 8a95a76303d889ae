"""`mode='sync'` with requirements: only what the server's own Python has."""

from __future__ import annotations

import pytest

from geartrain import Client
from geartrain.errors import RequirementsError
from support.waiting import wait_for

SCRIPT = "GB().foreach(lambda r: execute('set', 'copy', r['value'])).register('k:*', mode='sync', name='copy')"


def test_what_the_server_has_is_no_obstacle(gears, client):
    """The function is loaded and runs."""
    with Client(gears.url) as session:
        outcome = session.execute(SCRIPT, session="one", requirements=["redis>=5", "cloudpickle"])
        assert outcome.warnings == []
    client.call("SET", "k:1", "v")
    assert client.call("GET", "copy") == "v"


def test_what_the_server_lacks_is_refused(gears):
    """With what is missing, and what to do; nothing is registered."""
    with Client(gears.url) as session:
        with pytest.raises(RequirementsError, match=r"nothing-at-all==1 is not installed.*mode='async'"):
            session.execute(SCRIPT, session="one", requirements=["redis>=5", "nothing-at-all==1"])
        assert session.registrations() == []


@pytest.mark.servers("valkey-9.1")
def test_where_it_cannot_be_told_the_function_refuses_to_load(gears, client, monkeypatch):
    """A client on another machine is warned, and `show` has the reason."""
    monkeypatch.setattr("geartrain.client.host.lacking_in_server", lambda _link, _requirements: None)
    with Client(gears.url) as session:
        outcome = session.execute(SCRIPT, session="one", requirements=["nothing-at-all==1"])
        assert "cannot be told from here" in outcome.warnings[0]
        client.call("SET", "k:1", "v")
        wait_for(lambda: "nothing-at-all==1 is not installed" in (session.show("copy").info.last_error or ""))
    assert client.call("GET", "copy") is None
