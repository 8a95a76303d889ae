"""`register` and `run` have the signatures of the specification, and what was added is keyword-only."""

from __future__ import annotations

import copy
import inspect
import pickle
from inspect import Parameter
from typing import Any

import pytest

from geartrain.builder import (
    GB,
    CommandBuilder,
    GearsBuilder,
    KeysArguments,
    KeysBuilder,
    KeysOnlyBuilder,
    Mode,
    PythonBuilder,
    Reader,
    ShardsBuilder,
    StreamArguments,
    StreamBuilder,
)
from geartrain.errors import ArgumentError

READERS = [Reader.KEYS, Reader.KEYS_ONLY, Reader.STREAM, Reader.PYTHON, Reader.SHARDS]
"""Those that can run()."""

KEYS = {"regex": "*", "mode": "async", "eventTypes": None, "keyTypes": None, "OnRegistered": None}
KEYS_MORE = {
    "onRegistered": None,
    "prefix": None,
    "name": None,
    "readValue": True,
    "snapshot": False,
    "partitions": 1,
    "outboxLimit": None,
    "commands": None,
    "convertToStr": False,
    "collect": True,
}
STREAM = {
    "regex": "*",
    "mode": "async",
    "batch": 1,
    "duration": 0,
    "onRegistered": None,
    "onFailedPolicy": "retry",
    "onFailedRetryInterval": 1,
}
STREAM_MORE = {
    "OnRegistered": None,
    "prefix": None,
    "name": None,
    "trimStream": False,
    "fromId": "0-0",
    "maxRetries": None,
    "convertToStr": False,
    "collect": True,
}


def defaults(function: Any, kind: Any) -> dict[str, Any]:
    """The parameters of one kind with their defaults, in order."""
    return {p.name: p.default for p in inspect.signature(function).parameters.values() if p.kind is kind}


@pytest.mark.parametrize(
    ("reader", "specified", "added"), [("KeysReader", KEYS, KEYS_MORE), ("StreamReader", STREAM, STREAM_MORE)]
)
def test_register_has_the_specified_arguments_in_order_and_the_others_by_keyword_only(
    reader: str, specified: dict[str, Any], added: dict[str, Any]
) -> None:
    """A script may pass the specified ones by position."""
    register = GearsBuilder(reader).register
    assert list(defaults(register, Parameter.POSITIONAL_OR_KEYWORD).items()) == list(specified.items())
    assert defaults(register, Parameter.KEYWORD_ONLY) == added
    shown = defaults(register, Parameter.POSITIONAL_OR_KEYWORD)
    assert [repr(value) for value in shown.values()] == [repr(value) for value in specified.values()]


def test_run_has_each_readers_arguments() -> None:
    """They differ: only the readers of keys scan, only streams have ids."""
    runs = {reader: list(defaults(GB(reader).run, Parameter.POSITIONAL_OR_KEYWORD)) for reader in READERS}
    assert runs == {
        Reader.KEYS: ["arg", "noScan", "readValue"],
        Reader.KEYS_ONLY: ["arg"],
        Reader.STREAM: ["arg", "fromId"],
        Reader.PYTHON: ["generator_function"],
        Reader.SHARDS: [],
    }
    for reader in READERS:
        added = defaults(GB(reader).run, Parameter.KEYWORD_ONLY)
        assert {"mode": "async", "convertToStr": False, "collect": True}.items() <= added.items()


def test_the_builder_has_the_specified_arguments() -> None:
    """`GearsBuilder(reader='KeysReader', defaultArg='*', desc=None)`, also as `GB`."""
    parameters = inspect.signature(GearsBuilder).parameters
    assert {name: p.default for name, p in parameters.items()} == {
        "reader": "KeysReader",
        "defaultArg": "*",
        "desc": None,
    }
    assert GB is GearsBuilder


def test_each_reader_has_a_class_of_its_own() -> None:
    """And each of them is a GearsBuilder."""
    kinds = [type(GB()), type(GB("CommandReader")), *(type(GB(reader)) for reader in READERS)]
    runners = [KeysBuilder, KeysOnlyBuilder, StreamBuilder, PythonBuilder, ShardsBuilder]
    assert kinds == [KeysBuilder, CommandBuilder, *runners]
    assert all(issubclass(kind, GearsBuilder) for kind in kinds)


def test_a_keys_registration_arrives_as_it_was_written(keeper: Any) -> None:
    """All specified arguments by position, the words in lower case."""
    identity = GB("KeysReader", desc="why").count().register("k:*", "async_local", ["SET", "Del"], ("String",), print)
    (request,) = keeper.registered
    assert identity == "id-1"
    assert (request.reader, request.pattern, request.mode) == (Reader.KEYS, "k:*", Mode.ASYNC_LOCAL)
    assert (request.name, request.description, request.on_registered) == (None, "why", print)
    assert request.arguments == KeysArguments(event_types=("set", "del"), key_types=("string",))
    assert [step.kind for step in request.steps] == ["count"]


def test_what_was_added_to_key_registrations_arrives_as_it_was_written(keeper: Any) -> None:
    """The limits of what is allowed included."""
    GB().register(readValue=False, snapshot=True, partitions=1024, outboxLimit=1)
    (request,) = keeper.registered
    assert request.arguments == KeysArguments(read_value=False, snapshot=True, partitions=1024, outbox_limit=1)


def test_a_stream_registration_arrives_as_it_was_written(keeper: Any) -> None:
    """All specified arguments by position, the additional ones by name."""
    GB("StreamReader").register(
        "s1", "sync", 10, 250, print, "abort", 2.5, name="n", trimStream=True, fromId="$", maxRetries=3
    )
    (request,) = keeper.registered
    assert (request.reader, request.pattern, request.mode, request.name) == (Reader.STREAM, "s1", Mode.SYNC, "n")
    assert request.on_registered is print
    assert request.arguments == StreamArguments(
        batch=10,
        duration=250,
        on_failed_policy="abort",  # type: ignore[arg-type]
        on_failed_retry_interval=2.5,
        max_retries=3,
        trim_stream=True,
        from_id="$",
    )


def test_left_out_arguments_have_the_specified_defaults(keeper: Any) -> None:
    """For both readers."""
    GB("StreamReader").register()
    GB().register()
    stream, keys = keeper.registered
    assert (stream.arguments, stream.pattern, stream.mode) == (StreamArguments(), "*", Mode.ASYNC)
    assert (keys.arguments, keys.pattern, keys.mode) == (KeysArguments(), "*", Mode.ASYNC)


def test_the_old_dialect_changes_two_defaults_and_no_given_value(old_keeper: Any) -> None:
    """`trimStream=True` and `onFailedPolicy='continue'` where they are left out."""
    GB("StreamReader").register("s")
    GB("StreamReader").register("s", onFailedPolicy="retry", trimStream=False)
    left_out, given = (request.arguments for request in old_keeper.registered)
    assert (left_out.on_failed_policy, left_out.trim_stream) == ("continue", True)
    assert (given.on_failed_policy, given.trim_stream) == ("retry", False)


def test_the_builders_default_argument_is_read_where_nothing_is_given(keeper: Any) -> None:
    """For register and run; an argument that equals the default of the signature is still an argument."""
    GB("StreamReader", "orders:*").register()
    GB("KeysReader", defaultArg="k:*").register(regex="*")
    assert [request.pattern for request in keeper.registered] == ["orders:*", "*"]
    assert GB("KeysReader", "k:*").run() == ["k:*"]
    assert GB("KeysOnlyReader", "k:*").run("other") == ["other"]


def test_prefix_is_another_word_for_regex_and_either_spelling_of_on_registered_works(keeper: Any) -> None:
    """Each reader takes both."""
    for reader in ("KeysReader", "StreamReader"):
        GB(reader).register(prefix="p:*", onRegistered=print)
        GB(reader).register(prefix="p:*", OnRegistered=print)
    assert {(request.pattern, request.on_registered) for request in keeper.registered} == {("p:*", print)}
    assert len(keeper.registered) == 4


def test_run_arrives_as_it_was_written(keeper: Any) -> None:
    """Each reader's own options."""
    GB().map(str).run("k", noScan=True, readValue=False)
    GB("StreamReader", desc="d").run("s", "5-0")
    keys, stream = keeper.runs
    assert (keys.pattern, keys.no_scan, keys.read_value, len(keys.steps)) == ("k", True, False, 1)
    assert (stream.reader, stream.pattern, stream.from_id, stream.description) == (Reader.STREAM, "s", "5-0", "d")


def test_a_python_reader_takes_its_generator_function_from_either_place(keeper: Any) -> None:
    """From the builder or from run."""

    def numbers() -> Any:
        yield from range(3)

    GB("PythonReader", numbers).run()
    GB("PythonReader").run(numbers)
    assert [request.source for request in keeper.runs] == [numbers, numbers]


def test_a_builder_registers_what_it_has_at_that_moment(keeper: Any) -> None:
    """Steps that are added later do not reach an earlier registration."""
    builder = GB("StreamReader").map(str)
    builder.register("a")
    builder.count().register("b")
    assert [len(request.steps) for request in keeper.registered] == [1, 2]


def test_a_builder_can_be_copied_and_pickled() -> None:
    """A function that mentions one can travel."""
    builder = GB("StreamReader", "s:*").map(str)
    for twin in (copy.copy(builder), pickle.loads(pickle.dumps(builder))):
        assert type(twin) is StreamBuilder
        assert twin.steps == builder.steps


def test_outside_of_a_session_register_and_run_say_what_to_do() -> None:
    """No host: no silent loss."""
    for call in (GB().register, GB("StreamReader").register, GB().run, GB("PythonReader", list).run):
        with pytest.raises(ArgumentError, match="geartrain run SCRIPT"):
            call()
