"""Command hooks: functions of mode='sync' in the place of commands."""

from __future__ import annotations

import socket

import pytest

from geartrain import GearsBuilder, execute
from geartrain.errors import CommandError
from geartrain.runtime import call_next
from support.hooks import information
from support.inserver import register, statistics
from support.waiting import wait_for


def stamp(words):
    """HSET with one more field."""
    return call_next(*words[1:], "stamped", "yes")


def count_changes(words):
    """HSET, counted in the hash itself."""
    execute("HINCRBY", words[1], "changes", 1)
    return call_next(*words[1:])


def hook(function, command, **arguments):
    """Register a function in the place of a command."""
    return lambda: GearsBuilder("CommandReader").map(function).register(hook=command, mode="sync", **arguments)


def filtered(db):
    """Whether the server has a command filter of the module's."""
    return information(db, "geartrain")["geartrain_command_filter"] == "1"


def test_a_hook_stands_in_the_place_of_its_command(db):
    """Its record is the command's words, its result the reply, and call_next the original."""
    register(db, hook(stamp, "hset"))
    assert db.call("HSET", "k", "a", "1") == 2
    assert db.call("HGETALL", "k") == ["a", "1", "stamped", "yes"]
    assert db.call("hSeT", "k", "b", "2") == 1


def test_the_record_holds_text_and_what_is_no_text_as_bytes(db):
    """As in every record."""
    register(db, hook(lambda words: [repr(word) for word in words], "echo"))
    assert db.call("ECHO", "caf\u00e9") == [repr("ECHO"), repr("caf\u00e9")]
    assert db.call("ECHO", b"\xff") == [repr("ECHO"), repr(b"\xff")]


def test_a_hook_that_goes_leaves_the_command_as_it_was(db):
    """And without any hook there is no filter."""
    assert not filtered(db)
    (name,) = register(db, hook(lambda _: "hooked", "ping"))
    assert filtered(db)
    assert db.call("PING") == "hooked"
    db.call("GEARTRAIN.HOOK", "DEL", name)
    assert db.call("PING") == "PONG"
    assert not filtered(db)


def test_hooks_of_one_command_are_called_from_the_last_to_the_first(db):
    """Each call_next is the one that was registered before, with the arguments that it is given."""

    def script():
        GearsBuilder("CommandReader").map(lambda words: f"1({call_next(*words[1:])})").register(
            hook="echo", mode="sync", name="one"
        )
        GearsBuilder("CommandReader").map(lambda words: f"2({call_next(words[1] + '!')})").register(
            hook="echo", mode="sync", name="two"
        )

    register(db, script)
    assert db.call("ECHO", "x") == "2(1(x!))"
    register(db, hook(lambda words: f"3({call_next(*words[1:])})", "echo"), session="later")
    assert db.call("ECHO", "x") == "3(2(1(x!)))"


def test_a_prefix_says_which_keys_a_hook_is_for(db):
    """Without a key of that prefix the command passes the hook by; of several keys one is enough."""
    register(db, hook(stamp, "hset", keyprefix="person:"), session="a")
    register(db, hook(count_changes, "hset"), session="b")
    db.call("HSET", "person:1", "a", "1")
    db.call("HSET", "other", "a", "1")
    assert db.call("HGETALL", "person:1") == ["changes", "1", "a", "1", "stamped", "yes"]
    assert db.call("HGETALL", "other") == ["changes", "1", "a", "1"]
    register(db, hook(lambda _: "hooked", "mset", keyprefix="p:"), session="c")
    assert db.call("MSET", "a", 1, "p:b", 2) == "hooked"
    assert db.call("MSET", "a", 1, "b", 2) == "OK"


@pytest.mark.parametrize(
    ("value", "reply"),
    [
        (7, 7),
        ("text", "text"),
        (b"\xff\x00", b"\xff\x00"),
        (None, None),
        (1.5, "1.5"),
        (True, 1),
        ([1, "a", [None, 2]], [1, "a", [None, 2]]),
        ({"a": 1}, ["a", 1]),
        (2**70, str(2**70)),
        ((), []),
    ],
)
def test_what_a_function_gives_is_the_reply(db, value, reply):
    """Of each kind, as the client's protocol has it."""
    register(db, hook(lambda _, value=value: value, "ping"))
    assert db.call("PING") == reply


def test_clients_of_version_3_of_the_protocol_get_its_types(db):
    """Maps and booleans, from functions as from the original."""
    db.call("HSET", "h", "a", "1")
    register(db, hook(lambda words: {"all": call_next(*words[1:])}, "hgetall"), session="a")
    register(db, hook(lambda words: call_next(*words[1:]), "hlen", keyprefix="x"), session="b")
    channel = db.channel
    channel.use_resp3()
    assert channel.request(("HGETALL", "h")) == {"all": ["a", "1"]}
    assert channel.request(("HLEN", "h")) == 1
    channel.request(("HELLO", 2))


def test_several_results_are_a_list_and_none_is_nothing(db):
    """Steps may make more of the one record, or less."""

    def script():
        GearsBuilder("CommandReader").flatmap(lambda words: words[1:]).register(hook="echo", mode="sync", name="e")
        GearsBuilder("CommandReader").filter(lambda _: False).register(hook="ping", mode="sync", name="p")

    register(db, script)
    assert db.call("ECHO", "x") == "x"
    assert db.call("PING") is None
    register(db, lambda: GearsBuilder("CommandReader").flatmap(list).register(hook="strlen", mode="sync"), session="m")
    assert db.call("STRLEN", "k") == ["STRLEN", "k"]


def test_a_function_that_fails_is_an_error_for_the_client_and_counted(db):
    """It names the step; the original was not executed."""
    (name,) = register(db, hook(lambda words: words[99], "set"))
    with pytest.raises(CommandError, match=r"ERR step 1, map\(<lambda> .*IndexError"):
        db.call("SET", "k", "v")
    assert db.call("GET", "k") is None
    wait_for(lambda: statistics(db, name).failed == 1, message="the failure is counted")


def test_an_error_of_the_original_reaches_the_client_as_it_is(db):
    """Where the function lets it pass."""
    register(db, hook(lambda words: call_next(*words[1:]), "hset"))
    db.call("SET", "k", "v")
    with pytest.raises(CommandError, match="WRONGTYPE"):
        db.call("HSET", "k", "a", "1")
    with pytest.raises(CommandError, match="wrong number of arguments"):
        db.call("HSET", "k")


def test_what_a_function_executes_is_not_hooked(db):
    """Its own commands are the originals, also those of scripts that it calls."""

    def set_twice(words):
        execute("SET", words[1], "by execute")
        execute("EVAL", "return redis.call('SET', KEYS[1], 'by script')", 1, "other")
        return "hooked"

    register(db, hook(set_twice, "set"))
    assert db.call("SET", "k", "v") == "hooked"
    assert db.call("MGET", "k", "other") == ["by execute", "by script"]


def test_hooks_work_within_multi(db):
    """Queued as the command would be; a hook that has gone when it is executed is none."""
    (name,) = register(db, hook(stamp, "hset"))
    assert db.transaction([("HSET", "k", "a", "1"), ("HLEN", "k")]) == [2, 2]
    for command in (("MULTI",), ("HSET", "l", "a", "1"), ("GEARTRAIN.HOOK", "DEL", name), ("HSET", "l", "b", "2")):
        db.call(*command)
    assert db.call("EXEC") == [2, 1, 1]


@pytest.mark.parametrize("evaluate", ["EVAL", "EVAL_RO"])
def test_hooks_work_within_scripts(db, evaluate):
    """Reads in read-only scripts too; errors are the script's."""
    db.call("SET", "k", "v")
    register(db, hook(lambda words: f"hooked {call_next(*words[1:])}", "get"))
    assert db.call(evaluate, "return redis.call('GET', KEYS[1])", 1, "k") == "hooked v"


def test_a_hooked_write_is_one_for_read_only_scripts(db):
    """They may not call it."""
    register(db, hook(stamp, "hset"))
    assert db.call("EVAL", "return redis.call('HSET', KEYS[1], 'a', '1')", 1, "k") == 2
    with pytest.raises(CommandError, match="Write commands are not allowed"):
        db.call("EVAL_RO", "return redis.call('HSET', KEYS[1], 'a', '1')", 1, "k")


def test_hooks_of_one_database_leave_the_others_alone(db, connect):
    """From clients and from scripts."""
    register(db, hook(lambda _: "hooked", "ping"))
    other = connect(db.endpoint.url, 1)
    assert other.call("PING") == "PONG"
    assert other.call("EVAL", "return redis.call('PING')", 0) == "PONG"
    assert db.call("PING") == "hooked"


def test_a_command_that_blocks_does_so_in_other_databases(db, connect):
    """Where it is hooked it does not any more."""
    register(db, hook(lambda words: call_next(*words[1:]), "blpop"))
    assert db.call("BLPOP", "k", 0) is None
    other = connect(db.endpoint.url, 1)
    assert other.call("BLPOP", "k", 0.01) is None
    other.send(b"BLPOP k 0\r\n")
    wait_for(lambda: information(db, "clients")["blocked_clients"] == "1")
    connect(db.endpoint.url, 1).call("RPUSH", "k", "v")
    assert other.replies(1) == [["k", "v"]]


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("eval", {}, "noscript"),
        ("multi", {}, "noscript"),
        ("select", {}, "connection"),
        ("nonsense", {}, "no such command"),
        ("geartrain.hook", {}, "Geartrain's own"),
        ("x" * 100, {}, "so long a name"),
        ("zunion", {"keyprefix": "p"}, "movablekeys"),
    ],
)
def test_a_command_that_cannot_be_hooked_is_refused(db, command, arguments, message):
    """The error names the command and says why."""
    with pytest.raises(CommandError, match=f"cannot be hooked: .*{message}"):
        register(db, hook(stamp, command, **arguments))


def test_movable_keys_can_be_hooked_without_a_prefix(db):
    """Their place is of no importance then."""
    register(db, hook(lambda _: "hooked", "zunion"))
    assert db.call("ZUNION", 1, "k") == "hooked"


def test_the_commands_of_the_filter_cannot_be_called(db):
    """They are the module's own, also with what looks like a hooked command."""
    for name in ("geartrain.hooked", "geartrain.hooked.", "geartrain.hookedread", "geartrain.hookedscript."):
        with pytest.raises(CommandError, match="cannot be called"):
            db.call(name, "SET", "k", "v")
        with pytest.raises(CommandError, match="cannot be called"):
            db.call(name)
    with pytest.raises(CommandError, match=r"key arguments|Invalid arguments"):
        db.call("COMMAND", "GETKEYS", "geartrain.hooked", *["geartrain.hooked"] * 100, "SET", "k", "v")


def test_a_connection_that_says_so_is_not_hooked(db, connect):
    """Workers' do: what their functions execute is the original."""
    register(db, hook(lambda _: "hooked", "ping"))
    other = connect(db.endpoint.url)
    assert other.call("GEARTRAIN.UNHOOKED") == "OK"
    assert other.call("PING") == "PONG"
    assert db.call("PING") == "hooked"


def test_call_next_outside_of_a_hook_is_an_error(db):
    """A key function has no command to go on with."""
    (name,) = register(db, lambda: GearsBuilder().foreach(lambda _: call_next("x")).register("k", mode="sync"))
    db.call("SET", "k", "v")
    error = wait_for(lambda: statistics(db, name).last_error, message="the failure is told")
    assert "call_next() works only in a function that hooks a command" in error


def test_an_async_hook_is_the_last_one_of_its_command(db):
    """Nothing can be hooked on top of it, in whatever order hooks are set."""
    db.call("GEARTRAIN.HOOK", "SET", "waits", 5, "reader", "command", "hook", "get", "mode", "async")
    with pytest.raises(CommandError, match="no other hook can come on top"):
        db.call("GEARTRAIN.HOOK", "SET", "late", 6, "reader", "command", "hook", "get", "mode", "async")
    assert db.call("GEARTRAIN.HOOK", "SET", "waits", 7, "reader", "command", "hook", "get", "mode", "async") == "OK"
    db.call("GEARTRAIN.HOOK", "DEL", "waits")


class TestPermissions:
    """What a client needs is the permission for the command that it sends."""

    @pytest.fixture
    def login(self, db, connect):
        """`login(rules)`: a connection of a user with these rules."""

        def make(*rules):
            db.call("ACL", "SETUSER", "somebody", "reset", "on", ">pw", *rules)
            other = connect(db.endpoint.url)
            other.call("AUTH", "somebody", "pw")
            return other

        yield make
        db.call("ACL", "DELUSER", "somebody")

    def test_who_may_the_command_needs_no_more(self, db, login):
        """No permission for the module's commands, in no way of calling."""
        register(db, hook(stamp, "hset"), session="a")
        register(db, hook(lambda words: call_next(*words[1:]), "hlen"), session="b")
        other = login("+hset", "+hlen", "+multi", "+exec", "+eval", "~k")
        assert other.call("HSET", "k", "a", "1") == 2
        assert other.transaction([("HLEN", "k")]) == [2]
        assert other.call("EVAL", "return redis.call('HLEN', KEYS[1])", 1, "k") == 2

    def test_who_may_not_the_command_may_not_its_hook(self, db, login):
        """Neither the command nor its keys; the function is not called."""
        register(db, hook(lambda words: execute("SET", "called", words[0]), "hset"))
        other = login("+eval", "+multi", "+exec", "+get", "~k")
        with pytest.raises(CommandError, match=r"NOPERM.*'hset'"):
            other.call("HSET", "k", "a", "1")
        with pytest.raises(CommandError, match="hset"):
            other.call("EVAL", "return redis.call('HSET', KEYS[1], 'a', '1')", 1, "k")
        other = login("+hset", "~other")
        with pytest.raises(CommandError, match="NOPERM"):
            other.call("HSET", "k", "a", "1")
        assert db.call("EXISTS", "called") == 0

    def test_the_original_is_called_as_the_client(self, db, login):
        """A function cannot give it what the client may not have."""
        register(db, hook(lambda _: call_next("secret"), "get"))
        other = login("+get", "~k")
        with pytest.raises(CommandError, match="NOPERM"):
            other.call("GET", "k")

    def test_what_the_function_executes_has_the_permissions_of_who_registered_it(self, db, login):
        """Also where the client has none of them."""
        register(db, hook(lambda _: execute("INCR", "calls"), "ping"))
        other = login("+ping")
        assert other.call("PING") == 1

    def test_who_has_not_logged_in_gets_nowhere(self, db):
        """With a password for `default` a client that has not given it is refused, hook or no hook."""
        register(db, hook(lambda _: execute("INCR", "calls"), "ping"))
        assert db.call("PING") == 1
        db.call("ACL", "SETUSER", "default", "resetpass", ">secret")
        try:
            with socket.create_connection(("127.0.0.1", db.endpoint.address.port)) as stranger:
                stranger.sendall(b"PING\r\n")
                assert stranger.recv(100).startswith(b"-NOAUTH")
                stranger.sendall(b"AUTH secret\r\nPING\r\n")
                wait_for(lambda: db.call("GET", "calls") == "2", message="it has logged in, and the function ran")
        finally:
            db.call("ACL", "SETUSER", "default", "nopass")

    def test_a_restricted_default_user_needs_no_more_where_it_has_no_password(self, db, connect):
        """As other users."""
        register(db, hook(lambda _: "hooked", "ping"))
        db.call("ACL", "SETUSER", "admin", "reset", "on", ">pw", "+@all", "~*", "&*")
        db.call("AUTH", "admin", "pw")
        db.call("ACL", "SETUSER", "default", "-@all", "+ping")
        try:
            other = connect(db.endpoint.url)
            assert other.call("PING") == "hooked"
        finally:
            db.call("ACL", "SETUSER", "default", "+@all")
            db.call("AUTH", "default", "")
            db.call("ACL", "DELUSER", "admin")
