"""A wrong argument is an error that names the argument, its value and what is allowed."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from geartrain.builder import GB
from geartrain.errors import ArgumentError

NOT_FUNCTION = "must be a function"

REGISTER = [
    ("KeysReader", {"mode": "asinc"}, r"register\(mode='asinc'\).*'sync', 'async', 'async_local'"),
    ("StreamReader", {"mode": ["sync"]}, r"mode=\['sync'\]"),
    ("KeysReader", {"regex": ""}, "regex must be a pattern"),
    ("KeysReader", {"regex": None}, "regex=None"),
    ("StreamReader", {"prefix": 7}, "prefix=7"),
    ("KeysReader", {"eventTypes": "set"}, r"eventTypes='set'.*pass \['set'\]"),
    ("KeysReader", {"keyTypes": [b"hash"]}, "keyTypes.*list of str"),
    ("KeysReader", {"keyTypes": []}, "at least one word"),
    ("KeysReader", {"eventTypes": {"set": 1}}, "list of str"),
    ("KeysReader", {"readValue": 1}, "readValue=1.*True or False"),
    ("KeysReader", {"snapshot": None}, "snapshot=None"),
    ("KeysReader", {"partitions": 0}, "partitions=0.*a whole number, 1 to 1024"),
    ("KeysReader", {"partitions": 1025}, "partitions=1025.*a whole number, 1 to 1024"),
    ("KeysReader", {"partitions": None}, "partitions=None"),
    ("KeysReader", {"outboxLimit": 0}, "outboxLimit=0.*a whole number, 1 or more"),
    ("KeysReader", {"outboxLimit": True}, "outboxLimit=True"),
    ("KeysReader", {"outboxlimit": 5}, "did you mean 'outboxLimit'"),
    ("KeysReader", {"OnRegistered": 5}, f"OnRegistered=5.*{NOT_FUNCTION}"),
    ("StreamReader", {"onRegistered": "f"}, f"onRegistered='f'.*{NOT_FUNCTION}"),
    ("StreamReader", {"onRegistered": print, "OnRegistered": print}, "the same argument"),
    ("StreamReader", {"regex": "a", "prefix": "b"}, "prefix='b'.*the same argument"),
    ("StreamReader", {"batch": 0}, "batch=0.*1 or more"),
    ("StreamReader", {"batch": -5}, "batch=-5.*1 or more"),
    ("StreamReader", {"batch": True}, "batch=True"),
    ("StreamReader", {"batch": 1.5}, "batch=1.5"),
    ("StreamReader", {"duration": -1}, "duration=-1.*milliseconds"),
    ("StreamReader", {"onFailedPolicy": "ignore"}, "'retry', 'abort', 'continue'"),
    ("StreamReader", {"onFailedRetryInterval": -0.1}, "onFailedRetryInterval=-0.1.*seconds"),
    ("StreamReader", {"onFailedRetryInterval": float("nan")}, "onFailedRetryInterval=nan"),
    ("StreamReader", {"onFailedRetryInterval": float("inf")}, "onFailedRetryInterval=inf"),
    ("StreamReader", {"maxRetries": -1}, "maxRetries=-1.*0 or more"),
    ("StreamReader", {"trimStream": "yes"}, "trimStream='yes'"),
    ("StreamReader", {"fromId": "now"}, r"fromId='now'.*or '\$'"),
    ("StreamReader", {"fromId": "1-2-3"}, "fromId"),
    ("StreamReader", {"fromId": 5}, "fromId=5"),
    ("StreamReader", {"fromId": f"{2**64}-0"}, "fromId"),
    ("StreamReader", {"name": ""}, "name=''"),
    ("StreamReader", {"name": "a b"}, "without spaces"),
    ("StreamReader", {"name": "a{b}"}, "braces"),
    ("StreamReader", {"batchSize": 5}, r"batchSize=5.*did you mean 'batch'\?.*it takes regex, mode, batch"),
    ("StreamReader", {"trim_stream": True}, "did you mean 'trimStream'"),
    ("KeysReader", {"onregistered": print}, "did you mean 'OnRegistered'"),
    ("KeysReader", {"batch": 1}, "no argument 'batch'"),
    ("KeysReader", {"zzz": 1}, "no argument 'zzz'; it takes regex"),
]


@pytest.mark.parametrize(("reader", "arguments", "message"), REGISTER)
def test_register_refuses_a_wrong_argument(reader: Any, arguments: dict[str, Any], message: str, keeper: Any) -> None:
    """And registers nothing."""
    with pytest.raises(ArgumentError, match=message):
        GB(reader).register(**arguments)
    assert keeper.registered == []


def test_too_many_positional_arguments_are_refused_with_the_names(keeper: Any) -> None:
    """What was added to the specification goes by keyword only."""
    with pytest.raises(ArgumentError, match="too many positional arguments; it takes regex, mode, eventTypes"):
        GB().register("*", "async", None, None, None, print)
    assert keeper.registered == []


@pytest.mark.parametrize("reader", ["KeysOnlyReader", "PythonReader"])
def test_readers_without_events_say_who_can_register(reader: Any, keeper: Any) -> None:
    """Whatever the arguments are."""
    with pytest.raises(ArgumentError, match=f"{reader} reads what is there.*KeysReader or StreamReader"):
        GB(reader).register("x", batch=3)
    assert keeper.registered == []


BUILDER: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    (("StreamRaeder",), {}, "did you mean 'StreamReader'.*'KeysReader', 'KeysOnlyReader', 'StreamReader'"),
    (("TimeEvent",), {}, "reader='TimeEvent'.*the readers are"),
    ((5,), {}, "reader=5"),
    ((["KeysReader"],), {}, "reader="),
    (("KeysReader", 5), {}, "defaultArg=5"),
    (("KeysReader", list), {}, "defaultArg="),
    (("KeysReader", "*", 5), {}, "desc=5"),
    ((), {"defaultarg": "x"}, "did you mean 'defaultArg'"),
]


@pytest.mark.parametrize(("args", "kwargs", "message"), BUILDER)
def test_the_builder_refuses_a_wrong_argument(args: tuple[Any, ...], kwargs: dict[str, Any], message: str) -> None:
    """The readers that there are stand in the message."""
    with pytest.raises(ArgumentError, match=message):
        GB(*args, **kwargs)


RUN: list[tuple[Any, dict[str, Any], str]] = [
    ("KeysReader", {"arg": 5}, "arg=5"),
    ("KeysReader", {"noScan": "no"}, "noScan='no'"),
    ("KeysReader", {"readValue": 0}, "readValue=0"),
    ("StreamReader", {"fromId": "$"}, "fromId"),
    ("StreamReader", {"fromid": "0"}, "did you mean 'fromId'"),
    ("PythonReader", {}, r"generator_function='\*'.*a function that yields"),
    ("PythonReader", {"generator_function": iter(())}, "itself, not its result"),
]


@pytest.mark.parametrize(("reader", "arguments", "message"), RUN)
def test_run_refuses_a_wrong_argument(reader: Any, arguments: dict[str, Any], message: str, keeper: Any) -> None:
    """And executes nothing."""
    with pytest.raises(ArgumentError, match=message):
        GB(reader).run(**arguments)
    assert keeper.runs == []


def first(*_: Any) -> Any:
    """Any plain function."""


async def later(*_: Any) -> Any:
    """A coroutine function."""


async def stream(*_: Any) -> Any:
    """An async generator function."""
    yield 1


class Later:
    """An object that is called like a coroutine function."""

    async def __call__(self, record: Any) -> Any:
        """Give it back."""
        return record


STEPS: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    *((kind, (5,), {}, f"{kind}.f=5.: f {NOT_FUNCTION}") for kind in ("map", "flatmap", "filter", "foreach")),
    *((kind, (stream,), {}, "async generator") for kind in ("map", "flatmap", "filter", "foreach")),
    ("accumulate", (None,), {}, "f=None"),
    ("accumulate", (later,), {}, "only map, flatmap, filter and foreach"),
    ("accumulate", (Later(),), {}, "only map, flatmap, filter and foreach"),
    ("accumulate", (functools.partial(later, 1),), {}, "only map, flatmap, filter and foreach"),
    *((kind, (first, 5), {}, "reducer=5") for kind in ("groupby", "localgroupby", "batchgroupby")),
    *((kind, (5, first), {}, "extractor=5") for kind in ("groupby", "localgroupby", "batchgroupby")),
    *((kind, (later, first), {}, "extractor=<") for kind in ("groupby", "localgroupby", "batchgroupby")),
    ("aggregate", (0, 5, first), {}, "seqOp=5"),
    ("aggregate", (0, first, later), {}, "combOp=<"),
    ("aggregate", (0, first), {}, "missing a required argument: 'combOp'; it takes zero, seqOp, combOp"),
    ("aggregateby", (5, 0, first, first), {}, "extractor=5"),
    ("aggregateby", (first, 0, first, 5), {}, "combOp=5"),
    ("countby", (5,), {}, "extractor=5"),
    ("countby", (later,), {}, "extractor=<"),
    ("avg", ("price",), {}, "extractor='price'"),
    ("repartition", (None,), {}, "extractor=None"),
    ("sort", (1,), {}, "reverse=1"),
    ("sort", (), {"key": first}, "no argument 'key'"),
    ("limit", (-1,), {}, "length=-1.*0 or more"),
    ("limit", (1, -1), {}, "start=-1"),
    ("limit", ("3",), {}, "length='3'"),
    ("limit", (True,), {}, "length=True"),
    ("limit", (), {}, "'length'"),
    ("limit", (), {"lenght": 5}, "did you mean 'length'"),
    ("count", (1,), {}, "too many positional arguments; it takes none"),
]


@pytest.mark.parametrize(("kind", "args", "kwargs", "message"), STEPS)
def test_a_step_refuses_a_wrong_argument(
    kind: str, args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    """And is not added."""
    builder = GB()
    with pytest.raises(ArgumentError, match=message):
        getattr(builder, kind)(*args, **kwargs)
    assert builder.steps == ()


@pytest.mark.parametrize("kind", ["map", "flatmap", "filter", "foreach"])
def test_the_steps_for_single_records_take_coroutine_functions(kind: str) -> None:
    """In all their forms."""
    for function in (later, Later(), functools.partial(later)):
        (step,) = getattr(GB(), kind)(function).steps
        assert step.functions == (function,)


def test_steps_keep_functions_and_options_in_the_order_of_their_arguments() -> None:
    """The pipeline relies on it."""
    builder = GB().aggregateby(len, [], min, max).limit(3, start=1).sort(False).aggregate(0, min, max).countby().avg()
    by_key, limit, sort, aggregate, countby, avg = builder.steps
    assert (by_key.functions, by_key.options) == ((len, min, max), {"zero": []})
    assert limit.options == {"length": 3, "start": 1}
    assert sort.options == {"reverse": False}
    assert (aggregate.functions, aggregate.options) == ((min, max), {"zero": 0})
    assert countby.functions[0]("x") == "x"
    assert avg.functions == (float,)
