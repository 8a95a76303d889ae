"""`mode='sync'` and workers: the server runs such registrations, and workers look after their hooks."""

from __future__ import annotations

import json

import pytest

from geartrain import GearsBuilder, execute
from geartrain.registry import Registration, hooks
from geartrain.wire import Link
from support.waiting import wait_for


@pytest.fixture(autouse=True)
def _accepted(monkeypatch):
    """Registrations are accepted, as if the server that they were made on could run them."""
    monkeypatch.setattr("geartrain.client.host._why_no_sync", lambda _: None)


def register(place):
    """One of each reader; what they would do."""
    with place.client.session("test"):
        for reader, pattern in (("KeysReader", "k:*"), ("StreamReader", "s:*")):
            GearsBuilder(reader).foreach(lambda _: execute("incr", "out")).register(pattern, mode="sync", name=reader)


def require_sync(place):
    """Skip the running test where the server's module cannot run functions."""
    module = hooks.read(place.link)
    if module.sync is not None:
        pytest.skip(module.sync)


def hooks_of(link):
    """The ids of the module's hooks."""
    return {item[0] for item in link.call("GEARTRAIN.HOOK", "LIST")[5]}


def test_a_worker_runs_no_sync_registration_and_says_why_nobody_does(place):
    """On a server without the module; other registrations are none the worse."""
    register(place)
    place.register(GearsBuilder("StreamReader").foreach(lambda _: execute("rpush", "seen", 1)), "s:*", session="other")
    worker = place.start()
    for name in ("KeysReader", "StreamReader"):
        info = place.wait_info(name, lambda info: info.last_error)
        assert info.last_error.startswith("mode='sync' needs the server module; this server has none loaded")
        assert info.status == "active"
    place.link.call("SET", "k:1", "x")
    place.add("s:1")
    place.seen(1)
    assert place.link.call("EXISTS", "out") == 0
    assert worker.worker._deployments.refused == []


def test_a_module_that_cannot_run_functions_says_why(captured):
    """The worker hands its reason on, and captures for others."""
    place = captured
    module = hooks.read(place.link)
    if module.sync is None:
        pytest.skip("this one can")
    register(place)
    place.start()
    info = place.wait_info("KeysReader", lambda info: info.last_error)
    assert info.last_error == f"mode='sync' needs the server module; {module.sync}"


def test_hooks_of_sync_registrations_are_there_while_they_are_active(captured):
    """The module gets the code; no worker executes it, and none makes partitions for it."""
    place = captured
    require_sync(place)
    register(place)
    worker = place.start()
    assert hooks_of(place.link) == {"KeysReader", "StreamReader"}
    assert worker.worker._ownership.everything() == []
    place.client.pause("KeysReader")
    assert hooks_of(place.link) == {"StreamReader"}
    place.client.resume("KeysReader")
    assert hooks_of(place.link) == {"KeysReader", "StreamReader"}
    place.link.call("GEARTRAIN.HOOK", "DEL", "StreamReader")
    wait_for(lambda: hooks_of(place.link) == {"KeysReader", "StreamReader"})
    place.client.unregister_session("test")
    assert hooks_of(place.link) == set()


def test_the_definition_is_that_of_the_registry(captured, monkeypatch):
    """Code and version go together."""
    place = captured
    require_sync(place)
    sent = []
    original = Link.pipeline

    def pipeline(self, commands):
        sent.extend(command for command in commands if command[:2] == ("GEARTRAIN.HOOK", "SET"))
        return original(self, commands)

    monkeypatch.setattr(Link, "pipeline", pipeline)
    register(place)
    for command in sent:
        fields = dict(zip(command[4::2], command[5::2], strict=True))
        made = json.loads(fields["definition"])
        item = Registration.from_json(made["registration"])
        assert (item.id, item.code_version, item.user) == (command[2], command[3], "default")
        assert made["version"] == item.code_version
    assert len(sent) == 2
