"""Key misses, and clients that wait for what their command has triggered; the test is the worker."""

from __future__ import annotations

import pytest

from geartrain import GearsBuilder, execute
from geartrain.errors import CommandError
from geartrain.runtime import override_reply
from geartrain.wire import pack
from support.hooks import captured, hooks, information, outbox, raw_entries, set_hook, setting
from support.inserver import register, statistics
from support.waiting import wait_for


def links(db):
    """What `INFO` says of them, by name."""
    return {
        name.removeprefix("geartrain_links_"): int(value)
        for name, value in information(db, "geartrain").items()
        if name.startswith("geartrain_links_")
    }


def link_of(entry):
    """The link of an outbox entry, or None."""
    fields = entry[1]
    return dict(zip(fields[::2], fields[1::2], strict=True)).get("link")


def send(client, *command):
    """Send a command whose reply comes later."""
    client.channel.send(pack(command))


def waiting_entry(db, count=1):
    """The last entry of the outbox, when there are so many."""
    return wait_for(lambda: raw_entries(db)[-1:] if len(raw_entries(db)) == count else None, message="it waits")[0]


class TestMisses:
    """Events of reads that find no key."""

    def test_a_miss_is_captured_by_whoever_names_it(self, db):
        """With the key and no type; a hit is none."""
        set_hook(db, events="keymiss")
        db.call("SET", "there", 1)
        db.call("GET", "there")
        db.call("GET", "missed")
        db.call("HGET", "h", "f")
        assert captured(db) == [("keymiss", b"missed"), ("keymiss", b"h")]
        assert raw_entries(db)[0][1] == ["event", "keymiss", "key", "missed", "type", "none"]

    def test_all_events_do_not_include_misses(self, db):
        """Also not where an event's name is unknown."""
        set_hook(db)
        set_hook(db, "other", events="set noevent")
        db.call("GET", "missed")
        assert captured(db) == []

    def test_reads_cost_nothing_where_nobody_asks(self, own):
        """The server is not asked to tell of misses."""
        set_hook(own, events="set")
        assert "keymiss" not in information(own, "geartrain")["geartrain_events_of"]
        set_hook(own, "other", events="keymiss")
        assert "keymiss" in information(own, "geartrain")["geartrain_events_of"]

    def test_misses_within_multi_and_scripts_are_captured(self, db):
        """In the unit of what they belong to."""
        set_hook(db, events="keymiss")
        db.transaction([("GET", "a"), ("SET", "b", 1)])
        db.call("EVAL_RO", "return redis.call('GET', KEYS[1])", 1, "c")
        assert captured(db) == [("keymiss", b"a"), ("keymiss", b"c")]

    def test_misses_while_writes_are_paused_are_dropped(self, db):
        """A read goes on then, and nothing may be written."""
        set_hook(db, events="keymiss")
        db.call("CLIENT", "PAUSE", 60_000, "WRITE")
        assert db.call("GET", "a") is None
        db.call("EVAL_RO", "return redis.call('GET', KEYS[1])", 1, "b")
        db.call("CLIENT", "UNPAUSE")
        assert captured(db) == []
        assert hooks(db)["h"].dropped == 2

    def test_a_function_in_the_server_fills_a_miss(self, db):
        """The next read finds it."""
        register(
            db,
            lambda: (
                GearsBuilder()
                .foreach(lambda record: execute("SET", record["key"], "filled"))
                .register("k", mode="sync", eventTypes=["keymiss"])
            ),
        )
        assert db.call("GET", "k") is None
        assert db.call("GET", "k") == "filled"

    def test_replicas_capture_no_misses(self, own, module_flavour, module_server, replicate):
        """Their reads are theirs alone."""
        set_hook(own, events="keymiss")
        _, replica = replicate(module_server, module_flavour)
        assert replica.call("GET", "a") is None
        own.call("GET", "b")
        assert captured(own) == [("keymiss", b"b")]


class TestAsync:
    """The worker's half: a link in the entry, and GEARTRAIN.LINK."""

    @pytest.fixture
    def linked(self, db):
        """A hook of misses by GET, and its outbox."""
        set_hook(db, events="keymiss", commands="get mget")
        return outbox(db)

    @pytest.fixture
    def client(self, db, connect):
        """Somebody else."""
        return connect(db.endpoint.url)

    def test_the_client_waits_until_the_execution_is_done(self, db, linked, client):
        """And gets the reply that its command had."""
        send(client, "GET", "k")
        link = link_of(waiting_entry(db))
        assert links(db)["waiting"] == 1
        assert db.call("GEARTRAIN.LINK", "DONE", linked, link) == 1
        assert client.channel.receive() is None
        assert links(db)["waiting"] == 0
        assert db.call("GEARTRAIN.LINK", "DONE", linked, link) == 0

    @pytest.mark.parametrize(
        ("reply", "expected"),
        [(b"$2\r\nok\r\n", "ok"), (b":3\r\n", 3), (b"*2\r\n:1\r\n_\r\n", [1, None]), (b"+FINE\r\n", "FINE")],
    )
    def test_the_reply_can_be_another_one(self, db, linked, client, reply, expected):
        """Once."""
        send(client, "GET", "k")
        link = link_of(waiting_entry(db))
        assert db.call("GEARTRAIN.LINK", "OVERRIDE", linked, link, reply) == 1
        with pytest.raises(CommandError, match="LINKUSED"):
            db.call("GEARTRAIN.LINK", "OVERRIDE", linked, link, reply)
        db.call("GEARTRAIN.LINK", "DONE", linked, link)
        assert client.channel.receive() == expected

    def test_an_error_is_one(self, db, linked, client):
        """As any error of the server."""
        send(client, "GET", "k")
        link = link_of(waiting_entry(db))
        db.call("GEARTRAIN.LINK", "OVERRIDE", linked, link, b"-NOTFOUND really\r\n")
        db.call("GEARTRAIN.LINK", "DONE", linked, link)
        assert client.channel.receive().text == "NOTFOUND really"

    def test_a_command_with_several_events_waits_for_all(self, db, linked, client):
        """They have the same link."""
        send(client, "MGET", "a", "b")
        link = link_of(waiting_entry(db, 2))
        assert {link_of(entry) for entry in raw_entries(db)} == {link}
        db.call("GEARTRAIN.LINK", "DONE", linked, link)
        assert links(db)["waiting"] == 1
        db.call("GEARTRAIN.LINK", "DONE", linked, link)
        assert client.channel.receive() == [None, None]

    def test_nobody_waits_where_there_is_no_event(self, db, linked):
        """A hit is answered at once."""
        db.call("SET", "k", "v")
        assert db.call("GET", "k") == "v"
        assert raw_entries(db) == []
        assert linked

    def test_other_commands_trigger_nothing(self, db, linked):
        """Though they miss too."""
        assert linked
        assert db.call("STRLEN", "k") == 0
        assert db.call("GETRANGE", "k", 0, 1) == ""
        assert raw_entries(db) == []

    def test_within_multi_and_scripts_nobody_waits(self, db, linked):
        """The events come without a link."""
        assert linked
        assert db.transaction([("GET", "a")]) == [None]
        assert not db.call("EVAL", "return redis.call('GET', KEYS[1])", 1, "b")
        assert captured(db) == [("keymiss", b"a"), ("keymiss", b"b")]
        assert [link_of(entry) for entry in raw_entries(db)] == [None, None]

    def test_a_client_that_goes_leaves_nothing_behind(self, db, linked, client):
        """Its link ends with the execution."""
        send(client, "GET", "k")
        link = link_of(waiting_entry(db))
        client.close()
        db.call("GEARTRAIN.LINK", "DONE", linked, link)
        assert links(db)["waiting"] == 0

    def test_events_that_are_dropped_are_not_waited_for(self, db, connect):
        """Past the limit of the outbox."""
        set_hook(db, events="keymiss", commands="get", limit=1)
        other = connect(db.endpoint.url)
        send(other, "GET", "a")
        waiting_entry(db)
        assert db.call("GET", "b") is None
        assert hooks(db)["h"].dropped == 1
        assert links(db)["waiting"] == 1

    @pytest.mark.parametrize("command", [("GEARTRAIN.HOOK", "DEL", "h"), ("FLUSHALL",)])
    def test_clients_of_a_registration_that_goes_get_their_reply(self, db, linked, client, command):
        """Nobody executes its events any more."""
        send(client, "GET", "k")
        assert link_of(waiting_entry(db))
        assert linked
        db.call(*command)
        assert client.channel.receive() is None
        assert links(db)["waiting"] == 0

    def test_clients_go_on_waiting_when_a_new_version_comes(self, db, linked, client):
        """It executes what the one before has captured."""
        send(client, "GET", "k")
        link = link_of(waiting_entry(db))
        assert db.call(*setting("h", version=2, events="keymiss", commands="get")) == "OK"
        assert links(db)["waiting"] == 1
        db.call("GEARTRAIN.LINK", "DONE", linked, link)
        assert client.channel.receive() is None

    def test_a_pattern_says_whose_clients_wait(self, db):
        """Commands on other keys are not even looked at."""
        set_hook(db, pattern="cache:*", events="keymiss", commands="get")
        before = information(db, "geartrain")["geartrain_hooked_calls"]
        assert db.call("GET", "other") is None
        assert information(db, "geartrain")["geartrain_hooked_calls"] == before
        assert raw_entries(db) == []

    @pytest.mark.parametrize(
        "arguments",
        ["DONE", "DONE k x", "DONE k 0", "NOTHING k 1", "OVERRIDE k 1", "OVERRIDE k 1 x"],
    )
    def test_nonsense_is_refused(self, db, arguments):
        """And harms nobody."""
        with pytest.raises(CommandError):
            db.call("GEARTRAIN.LINK", *arguments.split())

    def test_a_command_that_cannot_be_linked_is_refused(self, db):
        """As one that cannot be hooked."""
        with pytest.raises(CommandError, match="noscript"):
            set_hook(db, events="keymiss", commands="get multi")
        with pytest.raises(CommandError, match="movablekeys"):
            set_hook(db, pattern="a*", events="keymiss", commands="zunion")


class TestSync:
    """Functions in the server."""

    def test_a_function_gives_the_client_its_reply(self, db):
        """Read-through: the first read gets it already."""

        def fill(record):
            execute("SET", record["key"], "filled")
            override_reply("filled")

        register(
            db,
            lambda: GearsBuilder().foreach(fill).register("k*", mode="sync", eventTypes=["keymiss"], commands=["GET"]),
        )
        assert db.call("GET", "k") == "filled"
        assert db.call("GET", "k") == "filled"
        assert links(db)["waiting"] == 0

    @pytest.mark.parametrize(
        ("given", "expected"), [("+FINE", "FINE"), (b"\xff", b"\xff"), (None, None), (["a", 1], ["a", 1])]
    )
    def test_replies_of_each_kind(self, db, given, expected):
        """Texts with a mark are a status or an error."""
        register(
            db,
            lambda: (
                GearsBuilder()
                .foreach(lambda _: override_reply(given))
                .register("k", mode="sync", eventTypes=["keymiss"], commands=["get"])
            ),
        )
        assert db.call("GET", "k") == expected

    def test_a_reply_is_overridden_once(self, db):
        """The second function fails; an error is one for the client."""

        def script():
            for _ in range(2):
                GearsBuilder().foreach(lambda _: override_reply("-ERR no luck")).register(
                    "k", mode="sync", eventTypes=["keymiss"], commands=["get"]
                )

        names = register(db, script)
        with pytest.raises(CommandError, match="no luck"):
            db.call("GET", "k")
        errors = wait_for(lambda: [found.last_error for name in names if (found := statistics(db, name)).last_error])
        assert len(errors) == 1
        assert "only once" in errors[0]

    def test_within_multi_no_client_can_be_answered(self, db):
        """The function fails as it does in RedisGears; the command has its own reply."""
        (name,) = register(
            db,
            lambda: (
                GearsBuilder()
                .foreach(lambda _: override_reply("x"))
                .register("k", mode="sync", eventTypes=["keymiss"], commands=["get"])
            ),
        )
        assert db.transaction([("GET", "k")]) == [None]
        error = wait_for(lambda: statistics(db, name).last_error, message="the failure is told")
        assert "Can not get command ctx" in error
