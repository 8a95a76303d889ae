"""Which calls of `execute` may be put off: those whose reply nobody can notice, and no others.

Each case runs: a stand-in for `execute` looks, as the real one does, whether the call that it is in is one of the
pipeline's tail calls. So it is also tested that the offsets are those that this Python shows.
"""

from __future__ import annotations

# ruff: noqa: ARG005, D103  # step functions take what steps give; those to analyse are told in the tables
import asyncio
import functools
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from geartrain.builder import GB
from geartrain.pipeline import NO_RECORD, Pipeline, compile_pipeline, tail_calls


class Recorder:
    """What an execution did: its commands, each with whether it was put off."""

    def __init__(self) -> None:
        self.at: tuple[int, object] | None = None
        self.pipeline: Pipeline | None = None
        self.calls: list[tuple[str, bool]] = []
        self.places: list[tuple[int, object] | None] = []

    def called(self, frame: Any, command: str) -> str:
        """Note one command."""
        assert self.pipeline is not None
        self.calls.append((command, (frame.f_code, frame.f_lasti) in self.pipeline.tail_calls))
        self.places.append(self.at)
        return "OK"

    def run_async(self, coroutine: Any) -> Any:
        """Run it."""
        return asyncio.run(coroutine)


recorder = Recorder()


class _Execute:
    """Like the real one: an object that is called."""

    def __call__(self, command: str, *_: Any, **__: Any) -> str:
        return recorder.called(sys._getframe(1), command)

    def later(self, command: str) -> None:
        """Put off by the user's own wish."""
        recorder.calls.append((command, True))
        recorder.places.append(recorder.at)


execute = _Execute()


def run_command(command: str, *_: Any, **__: Any) -> str:
    """A target that is a function: CPython enters it in another way."""
    return recorder.called(sys._getframe(1), command)


gears = ModuleType("gears")
gears.executeCommand = execute  # type: ignore[attr-defined]
holder = SimpleNamespace(execute=execute)
other: list[Any] = []


def note(x: Any) -> None:
    """An effect."""
    other.append(x)


def run(builder: GB, records: Any = None) -> str:
    """The execution's commands, in order; those that were put off in capitals."""
    pipeline = compile_pipeline(builder.steps, targets=(execute, run_command))
    recorder.__init__()  # type: ignore[misc]
    recorder.pipeline = pipeline
    pipeline([{"k": "a", "v": 1}] if records is None else records, recorder)
    return " ".join(command.upper() if put_off else command for command, put_off in recorder.calls)


def statement(x: Any) -> None:
    execute("set", x["k"], x["v"])


def returned(x: Any) -> Any:
    return execute("set", x["k"], x["v"])


def last_of_two(x: Any) -> None:
    value = execute("get", x["k"])
    execute("set", x["k"], value)


def two_statements(x: Any) -> None:
    execute("one")
    execute("two")


def then_quiet(x: Any) -> Any:
    execute("set")
    y = x["v"] + 1
    name = f"{x['k']}-{len(str(y))}"
    if y > 3 and name is not None:
        return {"k": name, "v": [1, 2, 3], "w": "{}".format(y)}  # noqa: UP032
    return (name, not y, x["k"][0:2], y in (1, 2))


def then_effect(x: Any) -> None:
    execute("set")
    note(x)


def then_item(x: Any) -> None:
    execute("set")
    x["done"] = True


def then_attribute(x: Any) -> None:
    execute("set")
    holder.done = True


def then_global(x: Any) -> None:
    global last  # noqa: PLW0603
    execute("set")
    last = x


def then_property(x: Any) -> None:
    execute("set")
    holder.execute  # noqa: B018


def then_list(x: Any) -> None:
    execute("set")
    list(x)


def then_in_place(x: Any) -> None:
    mine = other
    execute("set")
    mine += [1]


def then_raise(x: Any) -> None:
    execute("set")
    if x is None:
        raise ValueError


def then_delete(x: Any) -> None:
    execute("set")
    del x["k"]


def then_method(x: Any) -> None:
    execute("set")
    x.get("k")


def then_spread(x: Any) -> Any:
    execute("set")
    return [*x]


def then_comprehension(x: Any) -> Any:
    execute("set")
    return [y for y in x]  # noqa: C416


def then_assert(x: Any) -> None:
    execute("set")
    assert x


def in_try(x: Any) -> None:
    try:  # noqa: SIM105
        execute("set")
    except ValueError:
        pass


def in_try_returned(x: Any) -> Any:
    try:
        return execute("set")
    except ValueError:
        return None


def then_chosen(x: Any) -> Any:
    execute("set")
    y = (str if x["v"] > 5 else note)(x)
    return [y, x, y, x, y]


def then_chosen_the_other_way(x: Any) -> Any:
    execute("set")
    y = (note if x["v"] < 5 else str)(x)
    return [y, x, y, x, y]


def in_finally(x: Any) -> None:
    try:
        note(x)
    finally:
        execute("set")


def in_except(x: Any) -> None:
    try:
        x["missing"]
    except KeyError:
        execute("set")


def in_with(x: Any) -> None:
    with open("/dev/null"):  # noqa: PTH123
        execute("set")


def before_try(x: Any) -> None:
    execute("set")
    try:
        x["missing"]
    except KeyError:
        note(x)


def after_try(x: Any) -> None:
    try:
        x["missing"]
    except KeyError:
        note(x)
    execute("set")


def in_loop(x: Any) -> None:
    for _ in range(1):
        execute("set")


def in_while(x: Any) -> None:
    while x["v"] < 2:
        x = {**x, "v": 2}
        execute("set")


def after_loop(x: Any) -> None:
    for key in sorted(x):
        note(key)
    execute("set")


def branches(x: Any) -> None:
    if x["v"]:
        execute("one")
    else:
        execute("two")


def branch_then_effect(x: Any) -> None:
    if x["v"]:
        execute("one")
    if not x["v"]:
        note(x)


def assigned(x: Any) -> None:
    reply = execute("set")  # noqa: F841


def compared(x: Any) -> bool:
    return execute("set") == "OK"


def nested_call(x: Any) -> None:
    execute("set", x["k"], execute("get", x["k"]))


def with_choice(x: Any) -> None:
    execute("set", x["k"] or "none", "a" if x["v"] > 1 else "b", *[x["v"]])


def spread(x: Any) -> None:
    execute(*["set", x["k"]], **x)


def by_keyword(x: Any) -> None:
    execute("set", key=x["k"])


def by_module(x: Any) -> None:
    gears.executeCommand("set", x["k"])


def by_object(x: Any) -> None:
    holder.execute("set", x["k"])


def by_local(x: Any) -> None:
    send = execute
    send("set", x["k"])


def by_default(x: Any, send: Any = execute) -> None:
    send("set", x["k"])


def by_function(x: Any) -> None:
    run_command("set", x["k"])


def by_function_in_module_style(x: Any) -> Any:
    return run_command("set", key=x["k"])


def by_inner(x: Any) -> None:
    def send() -> None:
        execute("set", x["k"])

    send()


def by_comprehensions(x: Any) -> None:
    y = x["k"]
    execute("set", *([x] if x in ({}, []) else []), *[f"{x}{n}" for n in "ab"], *(f"{n}{y}" for n in x))


def yielding(x: Any) -> Any:
    execute("set")
    yield x


def conditional(x: Any) -> Any:
    return x["v"] and execute("set")


def either(x: Any) -> Any:
    return execute("one") if x["v"] else execute("two")


def both(x: Any) -> Any:
    return execute("one"), execute("two")


def made(send: Any) -> Any:
    """A function whose target is in its closure."""

    def by_closure(x: Any) -> None:
        send("set", x["k"])

    return by_closure


LONG = {f"v{number}": number for number in range(400)}
namespace: dict[str, Any] = {"execute": execute}
exec(
    "def long(x):\n y = x\n"
    + "".join(f" z{n} = y is not None and v{n}\n" for n in range(400))
    + " if y is not None:\n"
    + "".join(f"  w{n} = v{n}\n" for n in range(400))
    + " execute('set', y)\n",
    namespace | LONG,
    names := dict[str, Any](),
)

FOREACH = [
    (statement, "SET", "its reply is dropped and nothing follows"),
    (returned, "SET", "foreach drops what its function returns"),
    (lambda x: execute("set", x["k"]), "SET", "as above"),
    (last_of_two, "get SET", "the first one's reply is used, the last one's is not"),
    (two_statements, "one TWO", "only the last effect is put off"),
    (then_quiet, "SET", "operators, literals and pure builtins have no effect"),
    (then_effect, "set", "a call of anything else may have one"),
    (then_item, "set", "an item is set afterwards"),
    (then_attribute, "set", "an attribute is set afterwards"),
    (then_global, "set", "a global is set afterwards"),
    (then_property, "set", "an attribute may be a property"),
    (then_list, "set", "list() may run a generator"),
    (then_in_place, "set", "+= may change a list that others see"),
    (then_raise, "set", "an exception is raised afterwards"),
    (then_delete, "set", "an item is deleted afterwards"),
    (then_method, "set", "a method of an unknown object"),
    (then_spread, "set", "unpacking may run a generator"),
    (then_comprehension, "set", "a loop may run a generator"),
    (then_assert, "set", "an assertion raises"),
    (in_try, "set", "its error would be caught"),
    (in_try_returned, "set", "its error would be caught, also where its reply is returned"),
    (then_chosen, "set", "which function follows depends on the record"),
    (then_chosen_the_other_way, "set", "which function follows depends on the record, again"),
    (in_finally, "SET", "the try is over; where it raised, the call waits"),
    (in_except, "set", "in a handler"),
    (in_with, "set", "its error would be seen by the with"),
    (before_try, "set", "a try follows"),
    (after_try, "SET", "the try is over"),
    (in_loop, "set", "it may be called again"),
    (in_while, "set", "it may be called again"),
    (after_loop, "SET", "the loop is over"),
    (branches, "ONE", "each branch ends with it"),
    (branch_then_effect, "one", "one way leads to an effect"),
    (assigned, "set", "conservative: the reply is kept"),
    (compared, "set", "the reply is used"),
    (nested_call, "get SET", "the inner reply is used"),
    (with_choice, "SET", "choices among the arguments do not hide the callee"),
    (spread, "SET", "arguments by * and **"),
    (by_keyword, "SET", "arguments by keyword"),
    (by_module, "SET", "a module's attribute"),
    (by_object, "set", "an object's attribute is not known without asking it"),
    (by_local, "set", "conservative: a local variable"),
    (by_default, "set", "conservative: a default"),
    (by_function, "SET", "a target that is a function"),
    (by_function_in_module_style, "SET", "a target that is a function, called by keyword"),
    (by_inner, "set", "conservative: a nested function"),
    (made(execute), "SET", "a closure's variable"),
    (made(run_command), "SET", "a closure's variable that is a function"),
    (conditional, "SET", "the last value of `and`"),
    (either, "ONE", "both ways end with a call"),
    (both, "one two", "the replies make a tuple"),
    (names["long"], "SET", "a function with wide jumps"),
    (functools.partial(statement), "set", "conservative: a partial"),
    (holder.execute, "set", "the target itself, called by generated code"),
]


@pytest.mark.parametrize(("function", "expected", "why"), FOREACH, ids=[why for *_, why in FOREACH])
def test_a_call_in_foreach_is_put_off_where_its_reply_cannot_be_noticed(function: Any, expected: str, why: str) -> None:
    """Lower case: waits for its reply; capitals: put off."""
    if function is holder.execute:
        assert run(GB().foreach(function), ["set"]) == expected, why
    else:
        assert run(GB().foreach(function)) == expected, why


MAPPED = [
    (statement, "SET", "dropped as a statement"),
    (returned, "set", "the step gives the reply on"),
    (last_of_two, "get SET", "the last statement"),
    (then_quiet, "SET", "what it returns is made from other things"),
    (conditional, "set", "the step gives the reply on"),
    (by_comprehensions, "SET", "whatever its arguments are"),
]


@pytest.mark.parametrize("kind", ["map", "filter", "flatmap"])
@pytest.mark.parametrize(("function", "expected", "why"), MAPPED, ids=[why for *_, why in MAPPED])
def test_in_the_other_steps_only_a_statement_is_put_off(kind: str, function: Any, expected: str, why: str) -> None:
    """What they return is looked at."""
    assert run(getattr(GB(), kind)(function)) == expected, why


async def waiting(x: Any) -> Any:
    """A coroutine function that sends."""
    execute("set")
    return x


def test_coroutines_and_generators_are_not_analysed() -> None:
    """A coroutine's calls always wait; a generator function does nothing when it is called."""
    assert run(GB().foreach(waiting)) == "set"
    assert run(GB().foreach(yielding)) == ""


LATER = [
    (GB().foreach(statement).count(), "SET"),
    (GB().foreach(statement).collect().distinct().limit(5).sort(), "SET"),
    (GB().foreach(statement).map(lambda x: x["k"] + "x").filter(lambda x: x != "z"), "SET"),
    (GB().foreach(statement).map(str).map(len).avg(), "SET"),
    (GB().foreach(statement).countby(lambda x: x["k"]), "SET"),
    (GB().foreach(statement).groupby(lambda x: x["k"], lambda k, acc, x: (acc or 0) + x["v"]), "SET"),
    (GB().foreach(statement).map(lambda x: x.get("k")), "set"),
    (GB().foreach(statement).foreach(note), "set"),
    (GB().foreach(statement).map(lambda x: [y for y in x]), "set"),  # noqa: C416
    (GB().foreach(statement).map(functools.partial(str)), "set"),
    (GB().foreach(statement).map(waiting), "set set"),
    (GB().foreach(statement).accumulate(lambda acc, x: note(x)), "set"),
    (GB().foreach(note).foreach(statement), "SET"),
    (GB().foreach(lambda x: execute("one")).foreach(lambda x: execute("two")), "one TWO"),
    (GB().groupby(lambda x: execute("key"), lambda k, acc, x: 1), "key"),
    (GB().accumulate(lambda acc, x: execute("fold")), "fold"),
    (GB().repartition(lambda x: execute("key")), "key"),
]


@pytest.mark.parametrize(("builder", "expected"), LATER)
def test_nothing_is_put_off_where_a_later_step_may_have_an_effect(builder: GB, expected: str) -> None:
    """And only map, flatmap, filter and foreach put off at all."""
    assert run(builder) == expected


def test_the_same_function_twice_is_put_off_only_where_it_is_last() -> None:
    """Each step has its own copy of the code."""
    assert run(GB().foreach(statement).foreach(statement)) == "set SET"
    assert run(GB().map(lambda x: (statement(x), x)[1]).foreach(statement)) == "set SET"
    assert run(GB().foreach(made(execute)).foreach(made(execute))) == "set SET"


def test_a_step_function_that_another_one_calls_still_answers_it() -> None:
    """It looks at what the step's function returns."""
    got: list[Any] = []
    assert run(GB().map(lambda x: (got.append(returned(x)), x)[1]).foreach(returned)) == "set SET"
    assert got == ["OK"]


def test_without_targets_nothing_is_looked_for() -> None:
    """Nor is the context touched: it may be anything."""
    pipeline = compile_pipeline(GB().foreach(len).steps)
    assert pipeline.tail_calls == frozenset()
    assert pipeline(["a"], None) == ["a"]  # type: ignore[arg-type]


def test_shared_functions_have_no_tail_calls_of_their_own() -> None:
    """The analysis alone, without copies: a function of two steps is called where it must not be put off."""
    shared = GB().foreach(statement).foreach(statement).steps
    single = GB().foreach(statement).steps
    assert tail_calls(shared, (execute,)) == frozenset()
    assert {code for code, _ in tail_calls(single, (execute,))} == {statement.__code__}
    assert tail_calls(single, ()) == frozenset()


def test_copies_behave_like_the_users_functions() -> None:
    """Closure, defaults, attributes and name; and the user's own is left as it is."""

    def counted(x: Any, step: int = 2, *, more: int = 3) -> None:
        counted.calls += step + more  # type: ignore[attr-defined]
        execute("set")

    counted.calls = 0  # type: ignore[attr-defined]
    before = counted.__code__
    builder = GB().foreach(counted)
    assert run(builder) == "SET"
    assert counted.calls == 5  # type: ignore[attr-defined]
    assert counted.__code__ is before
    assert recorder.pipeline is not None
    assert recorder.pipeline.steps == builder.steps
    assert recorder.pipeline.describe(1).startswith("step 1, foreach(counted at test_tail_calls.py:")


def helper(x: Any) -> None:
    """Sends, one call further in."""
    execute.later("helped")


class Sender:
    """An object that sends."""

    def send(self, _: Any) -> None:
        """Send."""
        execute.later("sent")


sender = Sender()


def importing(x: Any) -> None:
    """Finds its target by an import of its own."""
    from test_tail_calls_elsewhere import execute as late  # type: ignore[import-not-found]

    late.later("imported")


MARKED = [
    (statement, True),
    (lambda x: execute.later("x"), True),
    (lambda x: gears.executeCommand("x"), True),
    (lambda x: [helper(x)], True),
    (lambda x: [sender.send(x)], True),
    (by_inner, True),
    (by_default, True),
    (made(execute), True),
    (functools.partial(statement), True),
    (sender.send, True),
    (importing, True),
    (lambda x: x["k"], False),
    (lambda x: other.append(len(x)), False),
    (lambda x: then_item, True),
    (note, False),
    (str, False),
    (len, False),
    (lambda x: [str(y) for y in x], False),
]


@pytest.mark.parametrize(("function", "marked"), MARKED)
def test_a_step_that_may_reach_a_target_keeps_the_place(function: Any, marked: bool) -> None:
    """Others cost nothing."""
    text = compile_pipeline(GB().map(str).foreach(function).steps, targets=(execute,)).text
    assert ("context.at = 2, r2" in text) == marked
    assert "context.at = 1" not in text


def test_the_place_is_the_step_and_record_at_the_moment_of_the_call() -> None:
    """In every kind of step."""
    run(GB().map(lambda x: x + 1).foreach(lambda x: execute("set")).map(lambda x: (execute("get"), x)[1]), [1, 2])
    assert recorder.places == [(2, 2), (3, 2), (2, 3), (3, 3)]
    run(GB().groupby(lambda x: execute("key"), lambda k, acc, x: execute("fold")), [5])
    assert recorder.places == [(1, 5), (1, 5)]
    run(GB().batchgroupby(lambda x: 1, lambda k, records: execute("reduce")), [5])
    assert recorder.places == [(1, NO_RECORD)]
    run(GB().aggregate(0, lambda acc, x: execute("one"), lambda acc, part: execute("two")), [5])
    assert recorder.places == [(1, 5), (1, NO_RECORD)]
    run(GB().foreach(waiting), [5])
    assert recorder.places == [(1, NO_RECORD)]


CLOSED = [
    (GB().foreach(statement), True, "only tail calls"),
    (GB().filter(lambda x: x["v"] > 0).map(lambda x: x["k"]).foreach(statement), True, "quiet steps and a tail call"),
    (GB().map(statement).foreach(len), True, "a pure builtin"),
    (GB().foreach(branches), True, "a tail call on each way"),
    (GB().foreach(with_choice), False, "conservative: a method of an unknown object"),
    (GB().foreach(last_of_two), False, "a reply is used"),
    (GB().foreach(two_statements), False, "the first call is waited for"),
    (GB().foreach(statement).foreach(statement), False, "the first step's call is waited for"),
    (GB().foreach(note).foreach(statement), False, "an unknown function before"),
    (GB().map(dict).foreach(statement), False, "dict() may run a generator"),
    (GB().foreach(after_try), False, "a try"),
    (GB().foreach(after_loop), False, "a loop"),
    (GB().foreach(by_inner), False, "a nested function"),
    (GB().foreach(waiting), False, "a coroutine"),
    (GB().foreach(yielding).foreach(statement), False, "a generator"),
    (GB().foreach(statement).count(), False, "conservative: a step that takes all records"),
    (GB().foreach(functools.partial(statement)), False, "conservative: a partial"),
    (GB().foreach(lambda x: None), True, "nothing at all"),
]


@pytest.mark.parametrize(("builder", "closed", "why"), CLOSED, ids=[why for *_, why in CLOSED])
def test_steps_are_closed_where_they_can_notice_nothing_but_records(builder: GB, closed: bool, why: str) -> None:
    """Only then the steps of the next batch may run before the effects of this one are there."""
    assert compile_pipeline(builder.steps, discard=True, targets=(execute, run_command)).closed is closed, why
