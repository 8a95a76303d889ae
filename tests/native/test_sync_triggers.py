"""Triggers of mode='sync': the function runs in the server, and its results are the reply."""

from __future__ import annotations

import pytest

from geartrain import GearsBuilder, execute
from geartrain.config import Dialect
from geartrain.errors import CommandError
from geartrain.wire import Endpoint, Link
from support.calls import serve
from support.inserver import register, statistics
from support.waiting import wait_for


def trigger(*functions, name="t", **arguments):
    """Register a trigger of mode='sync' with these steps."""

    def script():
        builder = GearsBuilder("CommandReader")
        for function in functions:
            builder = builder.map(function)
        builder.register(trigger=name, mode="sync", **arguments)

    return script


def test_a_trigger_replies_with_the_list_of_its_results(db):
    """The record is [trigger, argument...]; a step that makes more or fewer of it changes the list."""
    register(db, trigger(lambda words: words))
    assert db.call("RG.TRIGGER", "t", "a", "b") == [["t", "a", "b"]]
    register(db, lambda: GearsBuilder("CommandReader").flatmap(lambda words: words).register(trigger="t", mode="sync"))
    assert db.call("RG.TRIGGER", "t", "a") == ["t", "a"]
    register(db, lambda: GearsBuilder("CommandReader").filter(lambda _: False).register(trigger="t", mode="sync"))
    assert db.call("RG.TRIGGER", "t") == []
    register(db, lambda: GearsBuilder("CommandReader").count().register(trigger="t", mode="sync"))
    assert db.call("RG.TRIGGERONKEY", "t", "k") == [1]


VALUES = {
    "str": ("é", b"$2\r\n\xc3\xa9\r\n"),
    "bytes": (b"\xff", b"$1\r\n\xff\r\n"),
    "int": (7, b":7\r\n"),
    "large": (2**70, b"(1180591620717411303424\r\n"),
    "float": (1.5, b",1.5\r\n"),
    "none": (None, b"_\r\n"),
    "bool": (True, b"#t\r\n"),
    "list": ([1, [2, "x"]], b"*2\r\n:1\r\n*2\r\n:2\r\n$1\r\nx\r\n"),
    "dict": ({"a": 1}, b"%1\r\n$1\r\na\r\n:1\r\n"),
    "set": ({1}, b"~1\r\n:1\r\n"),
}


@pytest.mark.parametrize("name", VALUES)
def test_results_are_values_of_the_callers_protocol(db, raw, name):
    """As RG.PYEXECUTE's."""
    value, text = VALUES[name]
    register(db, trigger(lambda _, value=value: value))
    caller = raw(3)
    caller.call("RG.TRIGGER", "t")
    assert caller.received == b"*1\r\n" + text


def test_converted_results_are_strings(db):
    """`convertToStr`, which is the default of redisgears-1.2."""
    script = trigger(lambda words: [*words, 1, None])
    register(db, script, dialect=Dialect.REDISGEARS_1_2)
    assert db.call("RG.TRIGGER", "t", "a") == ["['t', 'a', 1, None]"]
    register(db, trigger(len, convertToStr=True))
    assert db.call("RG.TRIGGER", "t", "a") == ["2"]
    register(db, trigger(len, convertToStr=False), dialect=Dialect.REDISGEARS_1_2)
    assert db.call("RG.TRIGGER", "t", "a") == [2]


def test_it_runs_within_multi_and_scripts(db):
    """At its place among the other commands."""
    register(db, trigger(lambda words: execute("INCRBY", words[1], words[2])))
    assert db.transaction([("SET", "n", 5), ("RG.TRIGGER", "t", "n", 2), ("GET", "n")]) == ["OK", [7], "7"]
    assert db.call("EVAL", "return redis.call('RG.TRIGGER', 't', 'n', '3')", 0) == [10]
    assert (
        db.call("EVAL", "redis.call('RG.TRIGGERONKEY', 't', KEYS[1], '1'); return redis.call('GET', KEYS[1])", 1, "n")
        == "11"
    )


def test_what_it_raises_is_the_callers_error(db):
    """With the step; the failure is counted, and the next call is as any."""
    (name,) = register(db, trigger(lambda words: str(1 / int(words[1]))))
    with pytest.raises(CommandError, match="ZeroDivisionError"):
        db.call("RG.TRIGGER", "t", 0)
    assert db.call("RG.TRIGGER", "t", 1) == ["1.0"]
    wait_for(lambda: statistics(db, name).failed == 1)
    wait_for(lambda: statistics(db, name).succeeded == 1)


def test_one_that_takes_too_long_is_ended(fresh_server, module_flavour, connect):
    """By the watchdog: the caller gets an error, the server goes on."""
    link = connect(fresh_server(module_flavour, module={"sync-timeout": 100}))

    def forever(_):
        while True:
            pass

    register(link, trigger(forever))
    with pytest.raises(CommandError, match="TimeoutError"):
        link.call("RG.TRIGGER", "t")
    assert link.call("PING") == "PONG"


def test_it_has_the_permissions_of_whoever_registered_it(db, raw):
    """Not those of the caller, who needs the command alone."""
    db.call("ACL", "SETUSER", "author", "on", "nopass", "~a*", "+set")
    db.call("ACL", "SETUSER", "caller", "on", "nopass", "+rg.trigger", "+auth")
    register(db, trigger(lambda words: execute("SET", words[1], 1)), user="author")
    caller = raw()
    caller.call("AUTH", "caller", "x")
    assert caller.call("RG.TRIGGER", "t", "ab") == [b"OK"]
    assert "NOPERM" in str(caller.call("RG.TRIGGER", "t", "other"))
    assert db.call("GET", "ab") == "1"


def test_what_it_writes_triggers_others_and_is_replicated(fresh_server, module_flavour, replicate):
    """As the writes of any function in the server."""
    primary = fresh_server(module_flavour, module={})
    _, replica = replicate(primary, module_flavour)
    with Link(Endpoint(primary.url)) as link:
        register(link, trigger(lambda words: execute("SET", "k", words[1])), session="one")
        register(
            link,
            lambda: GearsBuilder("KeysReader").foreach(lambda _: execute("INCR", "seen")).register("k", mode="sync"),
            session="two",
        )
        assert link.call("RG.TRIGGER", "t", "v") == ["OK"]
        assert link.call("MGET", "k", "seen") == ["v", "1"]
    wait_for(lambda: replica.call("MGET", "k", "seen") == ["v", "1"])


def test_triggers_call_triggers_to_a_small_depth(db):
    """The ninth level is refused."""

    def down(words):
        left = int(words[1])
        return [left, *(execute("RG.TRIGGER", "t", left - 1)[0] if left else [])]

    register(db, trigger(down))
    assert db.call("RG.TRIGGER", "t", 3) == [[3, 2, 1, 0]]
    with pytest.raises(CommandError, match="more than 8 levels deep"):
        db.call("RG.TRIGGER", "t", 8)
    assert db.call("RG.TRIGGER", "t", 7) == [[7, 6, 5, 4, 3, 2, 1, 0]]


def test_one_may_remove_itself(db):
    """It ends, and its reply comes."""
    register(db, trigger(lambda words: execute("GEARTRAIN.HOOK", "DEL", words[1])))
    name = db.call("GEARTRAIN.HOOK", "LIST")[5][0][0]
    assert db.call("RG.TRIGGER", "t", name) == [1]
    with pytest.raises(CommandError, match="no trigger"):
        db.call("RG.TRIGGER", "t", name)


class Odd:
    """A value whose text is made by code that looks at who asks."""

    def __str__(self):
        """Raises."""
        raise ValueError("no text")


def test_a_result_without_text_is_no_danger(db):
    """It has a text that says so."""
    register(db, trigger(lambda _: Odd()))
    assert "Odd" in db.call("RG.TRIGGER", "t")[0]


def test_no_worker_is_asked(db, raw):
    """Whoever serves triggers gets nothing."""
    register(db, trigger(len))
    worker = raw()
    assert serve(worker, "trigger", timeout=1) is None
    assert db.call("RG.TRIGGER", "t") == [1]
    assert serve(worker, "trigger", timeout=1) is None
