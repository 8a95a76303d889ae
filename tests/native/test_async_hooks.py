"""Command hooks whose functions run in workers; the test is the worker."""

from __future__ import annotations

import pytest

from geartrain import GearsBuilder
from geartrain.errors import CommandError
from geartrain.runtime import call_next
from geartrain.wire import pack
from support.hooks import information
from support.inserver import register


@pytest.fixture
def hooked(db):
    """HSET, of keys that begin with `k`, is a call for workers."""
    fields = ("reader", "command", "hook", "HSET", "keyprefix", "k", "mode", "async")
    assert db.call("GEARTRAIN.HOOK", "SET", "waits", 10**17, *fields) == "OK"
    return "waits"


@pytest.fixture
def client(db, connect):
    """Somebody else."""
    return connect(db.endpoint.url)


def begin(client, *command):
    """Send a command whose reply comes later."""
    client.channel.send(pack(command))


def serve(db, lane="trigger"):
    """The next call: its id, and what it is."""
    identity, found, _, user, version, registration, words = db.call("GEARTRAIN.SERVE", 5000, lane)
    assert (found, user, version) == (lane, "default", 2)
    return identity, (registration, words)


def test_the_command_is_a_call_and_its_answer_the_reply(db, hooked, client):
    """With the command's words, for whoever runs the registration."""
    begin(client, "HSET", "k", "a", "1")
    call, about = serve(db)
    assert about == (hooked, ["HSET", "k", "a", "1"])
    assert db.call("GEARTRAIN.ANSWER", call, b"+FINE\r\n") == 1
    assert client.channel.receive() == "FINE"
    assert db.call("EXISTS", "k") == 0


def test_other_keys_pass_the_hook_by(db, hooked):
    """The command is what it was."""
    assert hooked
    assert db.call("HSET", "other", "a", "1") == 1


def test_next_executes_the_original_for_the_client(db, hooked, client):
    """With the worker's arguments, and the client's permissions."""
    assert hooked
    begin(client, "HSET", "k", "a", "1")
    call, _ = serve(db)
    assert db.call("GEARTRAIN.NEXT", call, "k", "a", "1", "b", "2") == 2
    assert db.call("HGETALL", "k") == ["a", "1", "b", "2"]
    with pytest.raises(CommandError, match="wrong number of arguments"):
        db.call("GEARTRAIN.NEXT", call)
    db.call("GEARTRAIN.ANSWER", call, b":2\r\n")
    assert client.channel.receive() == 2
    with pytest.raises(CommandError, match="has gone"):
        db.call("GEARTRAIN.NEXT", call, "k", "a", "1")


def test_next_is_not_allowed_what_the_client_is_not(db, hooked, client):
    """Its keys, in this case."""
    assert hooked
    db.call("ACL", "SETUSER", "somebody", "reset", "on", ">pw", "+hset", "~k")
    client.call("AUTH", "somebody", "pw")
    try:
        begin(client, "HSET", "k", "a", "1")
        reply = db.call("GEARTRAIN.SERVE", 5000, "trigger")
        assert reply[3] == "somebody"
        with pytest.raises(CommandError, match="NOPERM"):
            db.call("GEARTRAIN.NEXT", reply[0], "secret", "a", "1")
        assert db.call("GEARTRAIN.NEXT", reply[0], "k", "a", "1") == 1
        db.call("GEARTRAIN.ANSWER", reply[0], b"_\r\n")
        assert client.channel.receive() is None
    finally:
        db.call("ACL", "DELUSER", "somebody")


def test_next_calls_the_hooks_that_were_registered_before(db, client):
    """In the server, where they are of mode='sync'."""
    register(
        db,
        lambda: (
            GearsBuilder("CommandReader")
            .map(lambda words: f"sync({call_next(*words[1:])})")
            .register(hook="echo", mode="sync")
        ),
    )
    db.call("GEARTRAIN.HOOK", "SET", "waits", 10**17, "reader", "command", "hook", "echo", "mode", "async")
    begin(client, "ECHO", "x")
    call, _ = serve(db)
    assert db.call("GEARTRAIN.NEXT", call, "y") == "sync(y)"
    db.call("GEARTRAIN.ANSWER", call, b"+done\r\n")
    assert client.channel.receive() == "done"


def test_within_multi_and_scripts_it_is_an_error(db, hooked):
    """Nobody can wait there."""
    assert hooked
    for command in (("MULTI",), ("HSET", "k", "a", "1")):
        db.call(*command)
    (reply,) = db.call("EXEC")
    assert "can neither be called by another hook nor within MULTI or a script" in reply.text
    with pytest.raises(CommandError, match="MULTI or a script"):
        db.call("EVAL", "return redis.call('HSET', KEYS[1], 'a', '1')", 1, "k")
    assert db.call("EXISTS", "k") == 0


def test_a_client_that_goes_takes_its_call_along(db, hooked, client):
    """What runs for it finds nobody."""
    assert hooked
    begin(client, "HSET", "k", "a", "1")
    call, _ = serve(db)
    client.close()
    assert db.call("GEARTRAIN.ANSWER", call, b"_\r\n") == 0


def test_the_environment_of_its_session_says_who_serves_it(db, client):
    """A lane of its own."""
    fields = ("reader", "command", "hook", "echo", "environment", "abc")
    db.call("GEARTRAIN.HOOK", "SET", "waits", 10**17, *fields)
    begin(client, "ECHO", "x")
    call, _ = serve(db, "trigger:abc")
    db.call("GEARTRAIN.ANSWER", call, b"_\r\n")
    assert client.channel.receive() is None


@pytest.mark.parametrize("arguments", ["", "x", "0", "-1", "999999 a b"])
def test_next_without_a_call_is_refused(db, arguments):
    """Whatever it names."""
    with pytest.raises(CommandError):
        db.call("GEARTRAIN.NEXT", *arguments.split())
    assert information(db, "geartrain")
