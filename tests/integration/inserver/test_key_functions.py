"""KeysReader functions in the server: when they run, what they are given, what they may do."""

from __future__ import annotations

import asyncio

import pytest

from geartrain import Client, Dialect, GearsBuilder, execute, hashtag, isAsyncAllow, log, streamKey
from geartrain.errors import CommandError, GeartrainError
from geartrain.runtime import atomic, configGet, gearsConfigGet
from geartrain.text import shown
from geartrain.wire import Endpoint, Link
from support.inserver import register, statistics
from support.waiting import wait_for


def keep(record):
    """Write down what a function was given."""
    execute("rpush", "seen", repr(record))


def keeps(pattern="k:*", **arguments):
    """A script that registers `keep`."""
    return lambda: GearsBuilder().foreach(keep).register(pattern, mode="sync", **arguments)


def seen(link):
    """What was written down."""
    return [eval(line) for line in link.call("LRANGE", "seen", 0, -1)]


def test_a_function_has_run_when_the_reply_comes(client):
    """The next command of the same connection finds its effect."""
    register(client, keeps())
    replies = client.pipeline([("SET", "k:1", "v"), ("LRANGE", "seen", 0, -1)])
    assert replies[0] == "OK"
    assert [eval(line) for line in replies[1]] == [{"key": "k:1", "value": "v", "type": "string", "event": "set"}]


def test_a_function_sees_each_type_as_workers_do(client):
    """Strings, hashes, lists, sets, sorted sets, streams, and keys that are gone."""
    register(client, keeps())
    client.call("HSET", "k:h", "f", "1")
    client.call("RPUSH", "k:l", "a", "b")
    client.call("SADD", "k:s", "m")
    client.call("ZADD", "k:z", "1.5", "m")
    client.call("XADD", "k:x", "1-1", "f", "v")
    client.call("DEL", "k:h")
    assert [(record["type"], record["value"]) for record in seen(client)] == [
        ("hash", {"f": "1"}),
        ("list", ["a", "b"]),
        ("set", {"m"}),
        ("zset", {"m": 1.5}),
        ("stream", [("1-1", {"f": "v"})]),
        ("none", None),
    ]


def test_bytes_that_are_no_text_arrive_and_go_back_as_they_are(client):
    """Keys, values and arguments that are no UTF-8, with zero bytes in them."""
    register(
        client, lambda: GearsBuilder().foreach(lambda r: execute("set", "copy", r["value"])).register("k*", mode="sync")
    )
    client.call("SET", b"k\xff\0", b"v\xfe\0")
    assert client.call("GET", "copy") == b"v\xfe\0"


def test_without_read_value_there_is_none(client):
    """readValue=False: the type is told, the value is not read."""
    register(client, keeps(readValue=False))
    client.call("SET", "k:1", "v")
    client.call("HSET", "k:2", "f", "v")
    assert [(record["type"], record["value"]) for record in seen(client)] == [("string", None), ("hash", None)]


def test_a_value_that_no_step_uses_is_not_read(client):
    """The function cannot notice; the string stays encoded as the server had it; a message about a failure says so."""

    def fail(record):
        raise ValueError(record["key"])

    register(client, lambda: GearsBuilder().foreach(fail).register("k:*", mode="sync", name="fails"))
    client.call("SET", "k:1", "v")
    assert client.call("OBJECT", "ENCODING", "k:1") == "embstr"
    wait_for(lambda: statistics(client, "fails").last_error)
    assert "'value': (not read: no step uses it)" in statistics(client, "fails").last_error


@pytest.mark.parametrize("steps", [1, 2])
def test_a_message_shows_all_of_a_record_also_what_no_step_uses(client, steps):
    """The function looks at nothing, and raises: its step, the record and its own line are told."""

    def fail(_record):
        raise ValueError("always")

    def script():
        builder = GearsBuilder()
        for _ in range(steps - 1):
            builder = builder.filter(lambda _record: True)
        builder.foreach(fail).register("k:*", mode="sync", name="fails")

    register(client, script)
    client.call("SET", "k:1", "v")
    wait_for(lambda: statistics(client, "fails").last_error)
    found = statistics(client, "fails")
    assert f"step {steps}, foreach(fail at " in found.last_error
    assert "ValueError: always" in found.last_error
    shown = "{'event': 'set', 'key': 'k:1', 'type': 'string', 'value': (not read: no step uses it)}"
    assert shown in found.last_error
    assert 'raise ValueError("always")' in found.last_trace
    assert (found.triggered, found.failed) == (1, 1)


@pytest.mark.parametrize("key", ["k:1", "k:" + "x" * 200, b"k:\xff\0"])
def test_the_history_names_keys_that_no_step_used(client, key):
    """Short ones and long ones, text or not."""
    register(client, lambda: GearsBuilder().foreach(lambda _record: None).register("k:*", mode="sync", name="empty"))
    client.call("SET", key, "v")
    wait_for(lambda: statistics(client, "empty").succeeded)
    with Client(client.endpoint.url) as user:
        assert [line.last_id for line in user.show("empty").history] == [shown(key)]


def test_records_are_right_whatever_fields_the_functions_before_used(client):
    """Some use all fields, some one, some none, some change the record, in turn, on the same keys."""

    def change(record):
        record["value"] = record.pop("type")
        record["new"] = 1

    def script():
        for field in ("key", "value", "type", "event"):
            GearsBuilder().foreach(lambda x, field=field: execute("rpush", field, x[field])).register(
                "k:*", mode="sync", name=f"any-{field}"
            )
        GearsBuilder().foreach(lambda x: execute("rpush", "key", x["key"])).register("k:*", mode="sync", name="key")
        GearsBuilder().foreach(lambda x: execute("rpush", "type", x["type"])).register("k:*", mode="sync", name="type")
        GearsBuilder().foreach(lambda x: execute("rpush", "event", x["event"])).register("k:*", mode="sync", name="ev")
        GearsBuilder().foreach(lambda _x: None).register("k:*", mode="sync", name="nothing")
        GearsBuilder().foreach(change).register("k:[13]", mode="sync", name="changes")
        GearsBuilder().foreach(keep).register("k:*", mode="sync", name="keeps")

    register(client, script)
    for number in (1, 2, 3, 4, 1, 2):
        client.call("SET", f"k:{number}", f"v{number}")
    keys = [f"k:{number}" for number in (1, 2, 3, 4, 1, 2)]
    assert client.call("LRANGE", "key", 0, -1) == [key for key in keys for _ in range(2)]
    assert client.call("LRANGE", "value", 0, -1) == [f"v{key[2:]}" for key in keys]
    assert client.call("LRANGE", "type", 0, -1) == ["string"] * 12
    assert client.call("LRANGE", "event", 0, -1) == ["set"] * 12
    assert seen(client) == [{"key": key, "value": f"v{key[2:]}", "type": "string", "event": "set"} for key in keys]


def test_records_are_right_whatever_the_events_before_were(client):
    """Functions that use the value, and others, in turn: records are used again where nobody kept them."""

    def note(record):
        execute("rpush", "notes", f"{record['key']} {record['type']} {record['event']}")

    def script():
        GearsBuilder().foreach(note).register("k:*", mode="sync", name="notes")
        GearsBuilder().foreach(keep).register("k:[2-9]", mode="sync", name="keeps")
        GearsBuilder().filter(lambda x: x["event"] == "set").foreach(note).register("k:[5-9]", mode="sync", name="more")

    register(client, script)
    for number in (1, 1, 2, 1, 5, 3, 5, 5, 1):
        client.pipeline([("SET", f"k:{number}", number), ("DEL", f"k:{number}"), ("HSET", f"k:{number}", "f", number)])
        client.call("DEL", f"k:{number}")
    each = [("string", "set"), ("none", "del"), ("hash", "hset"), ("none", "del")]
    expected = [f"k:{number} {kind} {event}" for number in (1, 1, 2, 1, 5, 3, 5, 5, 1) for kind, event in each]
    noted = client.call("LRANGE", "notes", 0, -1)
    more = ["k:5 string set"] * 3
    assert sorted(noted) == sorted(expected + more)
    assert [line for line in noted if not line.startswith("k:5")] == [x for x in expected if not x.startswith("k:5")]
    kept = [(record["key"], record["type"], record["event"], record["value"]) for record in seen(client)]
    assert kept == [
        (f"k:{number}", kind, event, {"string": str(number), "hash": {"f": str(number)}}.get(kind))
        for number in (2, 5, 3, 5, 5)
        for kind, event in each
    ]


def test_events_and_key_types_are_chosen_before_python_is_entered(client):
    """White lists of event types and of key types."""
    register(client, keeps(eventTypes=["hset", "del"], keyTypes=["hash"]))
    client.call("SET", "k:1", "v")
    client.call("HSET", "k:2", "f", "v")
    client.call("HDEL", "k:2", "f")
    assert [(record["key"], record["event"]) for record in seen(client)] == [("k:2", "hset")]


def test_in_a_transaction_functions_run_before_the_reply_to_exec(client):
    """After the last command, within the transaction."""
    register(client, keeps())
    client.transaction([("SET", "k:1", "a"), ("SET", "k:2", "b")])
    assert [record["key"] for record in seen(client)] == ["k:1", "k:2"]


def test_in_a_script_functions_run_before_the_reply_to_eval(client):
    """The function sees what the whole script left."""
    register(client, keeps())
    client.call("EVAL", "redis.call('SET', 'k:1', 'a') return redis.call('SET', 'k:1', 'b')", 0)
    assert [record["value"] for record in seen(client)] == ["b", "b"]


def test_several_steps_work_as_in_a_worker(client):
    """map, filter, flatmap, and results that nobody wants."""

    def script():
        pipeline = GearsBuilder().map(lambda r: r["value"]).filter(lambda v: v != "no").flatmap(str.split)
        pipeline.foreach(lambda word: execute("sadd", "words", word)).register("k:*", mode="sync")

    register(client, script)
    client.call("SET", "k:1", "a b")
    client.call("SET", "k:2", "no")
    assert sorted(client.call("SMEMBERS", "words")) == ["a", "b"]


def test_every_function_of_the_interface_works(client):
    """hashtag, streamKey, configGet, gearsConfigGet, atomic and log."""

    def everything(record):
        with atomic():
            found = [streamKey(), configGet("maxmemory"), gearsConfigGet("a", 1), bool(hashtag())]
        log("said by a function")
        execute("set", "found", repr(found))

    register(client, lambda: GearsBuilder().foreach(everything).register("k:*", mode="sync"))
    client.call("HSET", "geartrain:{registry}:config", "a", "b")
    client.call("SET", "k:1", "v")
    assert eval(client.call("GET", "found")) == [None, "0", "b", True]


def test_log_and_print_are_lines_of_the_servers_log(client, gears):
    """What a function says, the server's operator reads."""

    def says(record):
        log("from log()", level="warning")
        print("from print()\nand the next line")

    register(client, lambda: GearsBuilder().foreach(says).register("k:*", mode="sync"))
    client.call("SET", "k:1", "v")
    text = gears.log_path.read_text()
    assert all(line in text for line in ("from log()", "from print()", "and the next line"))


def test_async_steps_run_to_their_end(client):
    """`async def` in the server: the server waits."""

    async def slow(record):
        import asyncio

        await asyncio.sleep(0.001)
        execute("incr", "n")

    register(client, lambda: GearsBuilder().foreach(slow).register("k:*", mode="sync"))
    client.call("SET", "k:1", "v")
    assert client.call("GET", "n") == "1"


def test_arguments_of_every_type_are_sent_as_by_a_worker(client):
    """str, bytes, int, float, bytearray, memoryview; another type is an error that says so."""

    def sends(record):
        execute("rpush", "sent", "s", b"b", 1, 1.5, bytearray(b"ba"), memoryview(b"mv"))
        execute("rpush", "sent", None)

    ids = register(client, lambda: GearsBuilder().foreach(sends).register("k:*", mode="sync"))
    client.call("SET", "k:1", "v")
    assert client.call("LRANGE", "sent", 0, -1) == ["s", "b", "1", "1.5", "ba", "mv"]
    error = wait_for(lambda: statistics(client, ids[0]).last_error)
    assert "argument 2 is None (NoneType)" in error


def test_replies_have_the_shapes_that_a_worker_gives(client):
    """int, str, None, nested lists."""

    def asks(record):
        replies = [
            execute("incr", "n"),
            execute("get", "missing"),
            execute("hgetall", "h"),
            execute("xrange", "x", "-", "+"),
            execute("eval", "return {1, {2, 'a'}, false}", 0),
            execute("set", "a", "b"),
        ]
        execute("set", "replies", repr(replies))

    register(client, lambda: GearsBuilder().foreach(asks).register("k:*", mode="sync"))
    client.call("HSET", "h", "f", "v")
    client.call("XADD", "x", "1-1", "f", "v")
    client.call("SET", "k:1", "v")
    assert eval(client.call("GET", "replies")) == [
        1,
        None,
        ["f", "v"],
        [["1-1", ["f", "v"]]],
        [1, [2, "a"], None],
        "OK",
    ]


def test_an_error_of_the_server_is_a_command_error(client):
    """It names the command; a function may catch it."""

    def errs(record):
        try:
            execute("incr", record["key"])
        except CommandError as error:
            execute("set", "error", f"{error.command} {error.code}")

    register(client, lambda: GearsBuilder().foreach(errs).register("k:*", mode="sync"))
    client.call("SET", "k:1", "v")
    assert client.call("GET", "error") == "incr ERR"


@pytest.mark.parametrize(
    "command",
    [
        ("nosuchcommand", "a"),
        ("get",),
        ("get", "a", "b"),
        ("blpop", "nothing", "0"),
        ("multi",),
        ("exec",),
        ("discard",),
        ("watch", "a"),
        ("subscribe", "a"),
        ("monitor",),
        ("wait", "1", "0"),
        ("xread", "block", "0", "streams", "s", "$"),
        ("client", "reply", "off"),
        ("hello", "3"),
        ("auth", "a"),
        ("select", "99999"),
        ("reset",),
        ("quit",),
        ("psync", "?", "-1"),
        ("eval", "while", "0"),
        ("function", "load", "x"),
        ("fcall", "nothing", "0"),
        ("debug", "jmap"),
        ("shutdown", "abort"),
        ("", "a"),
        ("get\0", "a"),
        ("geartrain.hook", "list"),
        ("failover", "abort"),
        ("replicaof", "no", "one"),
        ("cluster", "info"),
        ("bgsave",),
    ],
)
def test_a_command_that_makes_no_sense_here_does_the_server_no_harm(client, command):
    """It is an error, or does nothing; the server answers on."""

    def tries(record):
        try:
            reply = execute(*command)
        except CommandError as error:
            reply = str(error)
        execute("set", "reply", repr(reply)[:200])

    register(client, lambda: GearsBuilder().foreach(tries).register("k:*", mode="sync"))
    assert client.call("SET", "k:1", "v") == "OK"
    assert client.call("SET", "k:2", "v") == "OK"
    assert client.call("PING") == "PONG"
    assert client.call("GET", "k:2") == "v"
    print(command, client.call("GET", "reply"))


def test_a_thread_of_a_function_gets_an_error_from_execute(client):
    """Commands run in the function's own thread alone."""

    def starts(record):
        import threading

        found = []

        def inside():
            try:
                execute("get", "a")
            except GeartrainError as error:
                found.append(type(error).__name__)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        execute("set", "found", repr(found))

    register(client, lambda: GearsBuilder().foreach(starts).register("k:*", mode="sync"))
    client.call("SET", "k:1", "v")
    assert client.call("GET", "found") == "['GeartrainError']"


def test_threads_run_while_the_server_sleeps(client):
    """A thread that `onRegistered` started goes on between events."""

    def script():
        counts = []

        def counting():
            import time

            while True:
                counts.append(1)
                time.sleep(0.001)

        def begin():
            import threading

            threading.Thread(target=counting, daemon=True).start()

        builder = GearsBuilder().foreach(lambda _: execute("set", "count", len(counts)))
        builder.register("k:*", mode="sync", onRegistered=begin)

    register(client, script)

    def many():
        client.call("SET", "k:1", "v")
        return int(client.call("GET", "count")) > 20

    wait_for(many)


def test_a_function_is_not_triggered_by_its_own_writes_and_others_are(client):
    """Self-trigger: never; chains: yes."""

    def script():
        GearsBuilder().foreach(lambda _: (execute("incr", "one"), execute("incr", "k:x"))).register(
            "k:*", mode="sync", name="one"
        )
        GearsBuilder().foreach(lambda _: execute("incr", "two")).register("k:x", mode="sync", name="two")

    register(client, script)
    client.call("SET", "k:1", "v")
    assert (client.call("GET", "one"), client.call("GET", "two")) == ("1", "1")


def test_functions_that_trigger_each_other_stop_at_a_depth_of_8(client):
    """Ping-pong; what is beyond is counted."""

    def script():
        GearsBuilder().foreach(lambda _: execute("incr", "b:x")).register("a:*", mode="sync", name="a")
        GearsBuilder().foreach(lambda _: execute("incr", "a:x")).register("b:*", mode="sync", name="b")

    register(client, script)
    client.call("SET", "a:1", "v")
    assert int(client.call("GET", "a:x")) + int(client.call("GET", "b:x")) == 8
    assert "geartrain_events_too_deep:1" in client.call("INFO", "geartrain")


def test_registrations_of_a_session_share_their_globals(client):
    """What one puts in a global, the other finds there."""

    def script():
        shared = []
        GearsBuilder().foreach(lambda r: shared.append(r["key"])).register("a:*", mode="sync")
        GearsBuilder().foreach(lambda _: execute("set", "shared", repr(shared))).register("b:*", mode="sync")

    register(client, script)
    client.call("SET", "a:1", "v")
    client.call("SET", "b:1", "v")
    assert client.call("GET", "shared") == "['a:1']"


def test_on_registered_runs_once_in_a_server(client, gears):
    """Before the first event; again after a restart, not when the hook is set again."""

    def script():
        builder = GearsBuilder().foreach(keep)
        builder.register("k:*", mode="sync", onRegistered=lambda: execute("incr", "begun"))

    ids = register(client, script)
    assert client.call("GET", "begun") == "1"
    client.call("SET", "k:1", "v")
    assert client.call("GET", "begun") == "1"
    del ids, gears


def test_a_hook_in_another_database_works_there(gears, client):
    """A registration's database is where its function runs."""
    with Link(Endpoint(gears.url + "/3")) as third:
        register(third, keeps())
        client.call("SET", "k:1", "v")
        third.call("SET", "k:2", "v")
        assert [record["key"] for record in seen(third)] == ["k:2"]
        assert client.call("EXISTS", "seen") == 0
        wait_for(lambda: statistics(third, "tests/KeysReader:k:*").succeeded == 1)


def test_statistics_are_those_of_a_worker(client):
    """Counters, durations and the history."""
    ids = register(client, keeps())
    for number in range(150):
        client.call("SET", f"k:{number}", "v")
    wait_for(lambda: statistics(client, ids[0]).succeeded == 150)
    found = statistics(client, ids[0])
    assert (found.triggered, found.failed, found.records) == (150, 0, 150)
    assert found.duration_us > 0
    history = client.call("LRANGE", f"geartrain:{{registry}}:history:{ids[0]}", 0, -1)
    assert len(history) == 100
    assert '"last_id": "k:149"' in history[0]


def test_a_hook_that_is_removed_while_its_function_runs_does_no_harm(client):
    """The function itself removes it, or the whole database."""
    register(
        client,
        lambda: (
            GearsBuilder()
            .foreach(lambda _: execute("geartrain.hook", "del", "it"))
            .register("k:*", mode="sync", name="it")
        ),
    )
    register(
        client,
        lambda: GearsBuilder().foreach(lambda _: execute("flushall")).register("f:*", mode="sync"),
        session="second",
    )
    client.call("SET", "k:1", "v")
    client.call("SET", "k:2", "v")
    client.call("SET", "f:1", "v")
    assert client.call("SET", "f:2", "v") == "OK"
    assert client.call("GEARTRAIN.HOOK", "LIST")[5] == []


def test_packages_of_the_virtual_environment_can_be_imported(client):
    """numpy: an extension module that is not linked with libpython."""
    pytest.importorskip("numpy")

    def sums(record):
        import numpy as np

        execute("set", "sum", int(np.arange(10).sum()))

    register(
        client,
        lambda: GearsBuilder().foreach(sums).register("k:*", mode="sync", onRegistered=lambda: __import__("numpy")),
    )
    client.call("SET", "k:1", "v")
    assert client.call("GET", "sum") == "45"


def test_a_function_may_use_tls_and_hashes(client):
    """The interpreter's own libraries go with a server that may have others of the same name in it."""

    def uses(record):
        import hashlib
        import ssl

        ssl.create_default_context()
        execute("set", "hash", hashlib.sha256(b"a").hexdigest()[:8])

    register(client, lambda: GearsBuilder().foreach(uses).register("k:*", mode="sync"))
    client.call("SET", "k:1", "v")
    assert client.call("GET", "hash") == "ca978112"


def test_a_client_within_a_function_keeps_its_own_execute(client, flavour, fresh_server):
    """While a script for another server runs, `execute` is that server's; afterwards it is this one's again."""
    other = fresh_server(flavour)
    url = other.url

    def visits(record):
        from geartrain import Client

        with Client(url) as there:
            there.execute("execute('set', 'where', 'there')")
        execute("set", "where", "here")

    register(client, lambda: GearsBuilder().foreach(visits).register("k:*", mode="sync"))
    client.call("SET", "k:1", "v")
    assert client.call("GET", "where") == "here"
    with Link(Endpoint(url)) as link:
        assert link.call("GET", "where") == "there"


def test_execute_takes_its_command_by_name_too(client):
    """As the Python function that it is elsewhere."""
    register(client, lambda: GearsBuilder().foreach(lambda _: execute(command="flushall")).register("k:*", mode="sync"))
    client.call("SET", "k:1", "v")
    assert client.call("EXISTS", "k:1") == 0


def test_functions_of_the_old_dialect_have_its_records_and_await(client):
    """A set has no value; a coroutine is waited for; `redisgears` can be imported, and nobody may wait for others."""

    def inner(record):
        from redisgears import executeCommand, getMyHashTag

        executeCommand("rpush", "seen", repr((record["type"], record["value"], bool(getMyHashTag()), isAsyncAllow())))
        return doubled(record)

    async def doubled(record):
        await asyncio.sleep(0)
        return record["key"] * 2

    builder = GearsBuilder().map(inner).foreach(lambda key: execute("rpush", "keys", key))
    register(client, lambda: builder.register("k:*", mode="sync"), dialect=Dialect.REDISGEARS_1_2)
    client.call("SADD", "k:s", "m")
    client.call("HSET", "k:h", "f", "1")
    assert seen(client) == [("set", None, True, False), ("hash", {"f": "1"}, True, False)]
    assert client.call("LRANGE", "keys", 0, -1) == ["k:sk:s", "k:hk:h"]
