"""In the dialect redisgears-1.2 `register` and `run` take what RedisGears' did, in its order."""

from __future__ import annotations

from typing import Any

import pytest

from geartrain import glob
from geartrain.builder import GB, CommandArguments, Mode, Reader, StreamArguments
from geartrain.errors import ArgumentError


def test_arguments_by_position_have_the_order_of_redisgears(old_keeper: Any) -> None:
    """`register(prefix, convertToStr, collect, mode, onRegistered)`, for each reader that has events."""
    for reader in ("KeysReader", "StreamReader"):
        GB(reader).register("k:*", False, False, "async_local", print)
    GB("CommandReader").register("*", False, False, "async_local", print, trigger="t")
    for request in old_keeper.registered:
        assert (request.convert, request.collect, request.mode) == (False, False, Mode.ASYNC_LOCAL)
        assert request.on_registered is print
    assert [request.pattern for request in old_keeper.registered] == ["k:*", "k:*", "t"]


def test_results_become_text_unless_the_script_says_otherwise(old_keeper: Any, keeper: Any) -> None:
    """`convertToStr=True` is RedisGears' default; the dialect geartrain has the argument, and another default."""
    del keeper
    GB().register()
    GB().run()
    assert (GB().run(convertToStr=False), GB().run("k", False, False)) == (["*"], ["k"])
    assert old_keeper.registered == []


def test_run_takes_its_arguments_by_position_and_by_any_of_their_names(old_keeper: Any) -> None:
    """`run(arg, convertToStr, collect, mode)`; the readers' own by keyword."""
    GB().run("a:*", False, False, "async_local", noScan=True, readValue=False)
    for name in ("arg", "prefix", "regex", "pattern"):
        GB().run(**{name: "a:*"})
        GB("KeysOnlyReader").run(**{name: "a:*"})
        GB("StreamReader").run(**{name: "a:*"}, fromId="5-0")
    first, *others = old_keeper.runs
    assert (first.convert, first.collect, first.local, first.no_scan, first.read_value) == (
        False,
        False,
        True,
        True,
        False,
    )
    assert {request.pattern for request in old_keeper.runs} == {"a:*"}
    assert all(request.convert and request.collect and not request.local for request in others)


def test_the_keys_only_reader_takes_its_documented_order_too(old_keeper: Any) -> None:
    """`run(pattern, count, noScan, patternGenerator)`: a number in the second place tells which is meant."""
    generator = lambda: ("a", True)  # noqa: E731
    GB("KeysOnlyReader").run("a:*", 500, True, generator)
    GB("KeysOnlyReader").run("a:*", False)
    counted, usual = old_keeper.runs
    assert (counted.count, counted.no_scan, counted.pattern_generator) == (500, True, generator)
    assert (usual.count, usual.convert) == (None, False)


def test_the_other_readers_take_what_redisgears_gave_them(old_keeper: Any) -> None:
    """The generator as `arg` or `generator`; a ShardsIDReader ignores what it is given."""
    GB("PythonReader").run(list)
    GB("PythonReader").run(arg=list)
    GB("PythonReader").run(generator=list)
    GB("ShardsIDReader").run("whatever", False)
    assert [request.source for request in old_keeper.runs] == [list, list, list, None]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("person:*", "person:*"),
        ("person:1", "person:1"),
        ("*", "*"),
        ("a*b", r"a\*b"),
        ("a*b*", r"a\*b*"),
        ("[x]?*", r"\[x\]\?*"),
        ("back\\slash", "back\\\\slash"),
    ],
)
def test_what_is_registered_is_a_prefix_or_a_name(given: str, kept: str, old_keeper: Any) -> None:
    """Only the `*` at the end is special; a glob is kept that means just that."""
    GB().register(given)
    GB("StreamReader").register(prefix=given)
    GB("StreamReader").register(regex=given)
    assert {request.pattern for request in old_keeper.registered} == {kept}
    assert glob.compiled(kept.encode()).fullmatch(given.encode())


def test_the_dialect_geartrain_keeps_its_globs(keeper: Any) -> None:
    """Nothing is taken literally there."""
    GB().register("a*b?[c]")
    assert keeper.registered[0].pattern == "a*b?[c]"


def test_stream_registrations_have_redisgears_defaults(old_keeper: Any) -> None:
    """And all its arguments by keyword."""
    GB("StreamReader").register(
        prefix="s", batch=5, duration=10, onFailedPolicy="retry", onFailedRetryInterval=2, trimStream=False
    )
    GB("StreamReader").register("s")
    given, left_out = (request.arguments for request in old_keeper.registered)
    assert given == StreamArguments(batch=5, duration=10, on_failed_policy="retry", on_failed_retry_interval=2)  # type: ignore[arg-type]
    assert (left_out.on_failed_policy, left_out.trim_stream) == ("continue", True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GB().register("*", "sync"), "convertToStr='sync'.*True or False"),
        (lambda: GB().register("*", True, True, "sync", None, 5), "too many positional.*prefix, convertToStr, collect"),
        (lambda: GB().register("*", prefix="a"), "prefix was given by position, too"),
        (lambda: GB().register("*", keyType=["x"]), "no argument 'keyType'; did you mean 'keyTypes'"),
        (lambda: GB().run("a", prefix="b"), "prefix and arg are the same argument"),
        (lambda: GB().run(mode="sync"), "mode='sync'.*'async', 'async_local'"),
        (lambda: GB("KeysOnlyReader").run(count=0), "count=0.*1 or more"),
        (lambda: GB("KeysOnlyReader").run(patternGenerator="x"), "patternGenerator='x'.*a function"),
        (lambda: GB().register(commands="get"), r"pass \['get'\]"),
    ],
)
def test_a_wrong_call_says_what_fits(call: Any, message: str, old_keeper: Any) -> None:
    """By the names that this dialect has."""
    with pytest.raises(ArgumentError, match=message):
        call()
    assert (old_keeper.registered, old_keeper.runs) == ([], [])


def test_a_command_registration_arrives_as_it_was_written(keeper: Any) -> None:
    """A trigger, or a hook whose command's name is kept in lower case."""
    GB("CommandReader").register(trigger="Go", mode="async_local", inorder=True)
    GB("CommandReader").register(hook="HSET", keyprefix="person:", mode="sync", name="n")
    GB().register(commands=["GET", "HGet"])
    trigger, hook, linked = keeper.registered
    assert (trigger.reader, trigger.pattern) == (Reader.COMMAND, "Go")
    assert trigger.arguments == CommandArguments(trigger="Go", inorder=True)
    assert (hook.pattern, hook.name, hook.mode) == ("hset", "n", Mode.SYNC)
    assert hook.arguments == CommandArguments(hook="hset", keyprefix="person:")
    assert linked.arguments.commands == ("get", "hget")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs trigger= .* or hook="),
        ({"trigger": "a", "hook": "get"}, "hook='get'.*left out where trigger is given"),
        ({"trigger": "a", "keyprefix": "k"}, "keyprefix='k'.*left out unless hook"),
        ({"trigger": "a", "inorder": True}, "inorder=True.*mode='async_local'"),
        ({"trigger": ""}, "trigger=''"),
        ({"hook": 5}, "hook=5"),
        ({"trigger": "a", "inorder": 1}, "inorder=1"),
        ({"trigger": "a", "tigger": 1}, "did you mean 'trigger'"),
    ],
)
def test_a_command_registration_refuses_what_does_not_fit(arguments: Any, message: str, keeper: Any) -> None:
    """Exactly one of trigger and hook; the others where they mean something."""
    with pytest.raises(ArgumentError, match=message):
        GB("CommandReader").register(**arguments)
    assert keeper.registered == []


def test_a_command_reader_has_nothing_to_run(keeper: Any) -> None:
    """It waits for calls."""
    with pytest.raises(ArgumentError, match="CommandReader waits for calls"):
        GB("CommandReader").run()
    assert keeper.runs == []


async def later(*_: Any) -> Any:
    """A coroutine function."""


def test_aggregates_take_coroutine_functions_in_the_old_dialect_alone(old_keeper: Any) -> None:
    """Those of aggregate and aggregateby, as RedisGears; no extractor."""
    del old_keeper
    assert GB().aggregate(0, later, later).aggregateby(len, 0, later, later).steps
    with pytest.raises(ArgumentError, match="extractor"):
        GB().aggregateby(later, 0, later, later)
