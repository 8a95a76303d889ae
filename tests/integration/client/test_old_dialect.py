"""Scripts of the dialect redisgears-1.2 that the client runs: results, errors of single records, names, coroutines."""

from __future__ import annotations

import sys

import pytest

from geartrain import Dialect, ScriptError
from geartrain.builder import Reader

OLD = Dialect.REDISGEARS_1_2


@pytest.fixture
def old(client):
    """`old(script)`: what it gave."""
    return lambda script: client.execute(script, dialect=OLD)


def test_a_record_that_fails_is_an_error_beside_the_results(old, link):
    """The others are results, as text."""
    link.pipeline([("SET", f"k:{number}", number) for number in range(3)])
    outcome = old("GB().map(lambda r: 10 // int(r['value'])).sort().run('k:*')")
    assert outcome.results == ["10", "5"]
    (error,) = outcome.errors
    assert error.startswith("['Traceback (most recent call last):\\n'")
    assert error.endswith("'ZeroDivisionError: integer division or modulo by zero\\n']")


def test_records_of_keys_are_those_of_redisgears(old, link):
    """Sets, sorted sets and streams have no value; without `readValue` there is no type either."""
    link.pipeline(
        [
            ("SET", "a", "1"),
            ("HSET", "b", "f", "v"),
            ("RPUSH", "c", "x", "y"),
            ("SADD", "d", "m"),
            ("ZADD", "e", 1, "m"),
            ("XADD", "f", "1-1", "f", "v"),
        ]
    )
    found = old("GB().run(convertToStr=False)").results
    assert {record["key"]: (record["type"], record["value"]) for record in found} == {
        "a": ("string", "1"),
        "b": ("hash", {"f": "v"}),
        "c": ("list", ["x", "y"]),
        "d": ("set", None),
        "e": ("zset", None),
        "f": ("stream", None),
    }
    assert old("GB().run('a')").results == ["{'event': None, 'key': 'a', 'type': 'string', 'value': '1'}"]
    (bare,) = old("GB().run('b', readValue=False, convertToStr=False)").results
    assert bare == {"event": None, "key": "b", "type": None, "value": None}


def test_the_other_readers_give_what_redisgears_gave(old, link):
    """Streams, names of keys with all their arguments, the one shard, and a generator that fails on its way."""
    link.call("XADD", "s", "1-1", "f", "v")
    link.call("SET", "a*", 1)
    link.call("SET", "ab", 1)
    assert old("GB('StreamReader').run('s', convertToStr=False)").results == [
        {"key": "s", "id": "1-1", "value": {"f": "v"}}
    ]
    assert old("GB('KeysOnlyReader').run('a*', noScan=True)").results == ["a*"]
    assert sorted(old("GB('KeysOnlyReader').run('a*', 1)").results) == ["a*", "ab"]
    assert old("GB('KeysOnlyReader').run('x', patternGenerator=lambda: ('ab', True))").results == ["ab"]
    assert old("GB('ShardsIDReader').run()").results == ["1"]
    broken = old("def numbers():\n    yield 1\n    raise ValueError('no more')\nGB('PythonReader').run(numbers)")
    assert (broken.results, len(broken.errors)) == (["1"], 1)
    assert "ValueError: no more" in broken.errors[0]


def test_a_refused_command_that_nobody_waited_for_drops_its_record(old, link):
    """Of all others the results stay, whatever else failed between them."""
    link.call("SET", "text", "x")
    outcome = old(
        "def step(n):\n"
        "    execute('INCR', 'text' if n % 5 == 0 else f'n:{n}')\n"
        "    return {0: 1, 1: 1, 2: 1}[n % 4]\n"
        "GB('PythonReader').map(lambda n: n).foreach(step).run(lambda: range(40))"
    )
    kept = [n for n in range(40) if n % 5 and n % 4 != 3]
    assert outcome.results == [str(n) for n in kept]
    refused = [error for error in outcome.errors if "ERR value is not an integer" in error]
    # Where the function itself fails behind the command, both are told.
    assert len(refused) == 8
    assert len(outcome.errors) == 8 + sum(n % 4 == 3 for n in range(40))
    assert link.call("GET", "n:39") == "1"


def test_what_a_filter_lets_through_is_not_taken_for_another_record(old, link):
    """A step whose record may give no result waits for its commands."""
    link.call("SET", "text", "x")
    outcome = old(
        "def keep(n):\n"
        "    execute('INCR', 'text' if n == 4 else 'n')\n"
        "    return n % 2 == 0\n"
        "GB('PythonReader').filter(keep).run(lambda: range(8))"
    )
    assert outcome.results == ["0", "2", "6"]
    assert len(outcome.errors) == 1


def test_a_record_whose_command_was_refused_is_not_counted(old, link):
    """What comes behind a step that takes all records is not wrong."""
    link.call("SET", "text", "x")
    step = "GB('PythonReader').foreach(lambda n: execute('INCR', 'text' if n == 4 else 'n'))"
    outcome = old(f"{step}.count().run(lambda: range(8))")
    assert outcome.results == ["7"]


def test_execute_later_tells_its_error_and_its_record_stays(old, link):
    """It was asked for, and not put off by us."""
    link.call("SET", "text", "x")
    outcome = old(
        "GB('PythonReader').filter(lambda n: execute.later('INCR', 'text') is None).map(lambda n: n)"
        ".run(lambda: [1, 2])"
    )
    assert outcome.results == ["1", "2"]
    assert len(outcome.errors) == 2


def test_coroutines_hand_each_other_futures(old):
    """All of them run on one loop; an `async def` may start others."""
    outcome = old(
        "import asyncio\n"
        "async def later(n):\n"
        "    f, g = createFuture(), createFuture()\n"
        "    async def set():\n"
        "        setFutureResults(f, n * 2)\n"
        "        return n\n"
        "    runCoroutine(set(), g, delay=0.01)\n"
        "    return await f + await g\n"
        "def refused(n):\n"
        "    f = gearsFuture()\n"
        "    setFutureException(f, 'timedout') if n == 3 else f.continueRun(n)\n"
        "    return f\n"
        "GB('PythonReader').map(later).map(refused).run(lambda: [1, 2])"
    )
    assert outcome.results == ["6"]
    assert outcome.errors == ["timedout"]


def test_a_coroutine_executes_on_its_executions_connection(old, link):
    """Between the commands of the steps before and behind it."""
    outcome = old(
        "async def push(n):\n"
        "    execute('RPUSH', 'l', f'in {n}')\n"
        "    return n\n"
        "GB('PythonReader').foreach(lambda n: execute.later('RPUSH', 'l', f'before {n}')).map(push)"
        ".foreach(lambda n: execute('RPUSH', 'l', f'behind {n}')).run(lambda: [1, 2])"
    )
    assert outcome.errors == []
    assert link.call("LRANGE", "l", 0, -1) == [f"{where} {n}" for n in (1, 2) for where in ("before", "in", "behind")]


def test_what_a_coroutine_leaves_running_has_a_connection_of_its_own(old, link):
    """A task that goes on, and what runCoroutine has begun; neither disturbs the steps that follow."""
    outcome = old(
        "import asyncio\n"
        "async def linger(n, f):\n"
        "    for number in range(50):\n"
        "        execute('INCR', 'left')\n"
        "        await asyncio.sleep(0)\n"
        "    setFutureResults(f, n)\n"
        "async def begin(n):\n"
        "    futures = [createFuture(), createFuture()]\n"
        "    asyncio.get_running_loop().create_task(linger(n, futures[0]))\n"
        "    runCoroutine(linger(n, futures[1]))\n"
        "    return n, futures\n"
        "def go_on(pair):\n"
        "    return [execute('INCRBY', 'steps', 1) for _ in range(50)][-1], *(f.result(10) for f in pair[1])\n"
        "GB('PythonReader').map(begin).map(go_on).run(lambda: [1, 2])"
    )
    assert (outcome.results, outcome.errors) == (["(50, 1, 1)", "(100, 2, 2)"], [])
    assert link.call("GET", "left") == "200"


def test_a_run_in_a_coroutine_is_awaited(old, link):
    """It gives results and errors; a step that only returns it waits as well."""
    link.pipeline([("SET", f"student:{number}", number) for number in range(5)])
    outcome = old(
        "async def count(_):\n"
        "    results, errors = await GB().count().run(prefix='student:*')\n"
        "    return results[0], len(errors)\n"
        "GB('ShardsIDReader').map(count).run()"
    )
    assert (outcome.results, outcome.errors) == (["('5', 0)"], [])
    both = old("GB('ShardsIDReader').map(lambda _: GB().map(lambda r: 1 // int(r['value'])).count().run()).run()")
    assert both.results[0].startswith("[['4'], ['[")
    assert "ZeroDivisionError" in both.results[0]


def test_a_step_cannot_register(old):
    """A registration is the script's."""
    (error,) = old("GB('ShardsIDReader').map(lambda _: GB().register()).run()").errors
    assert "a step cannot register" in error


def test_a_script_imports_redisgears_and_the_names_of_main(old, client, link):
    """While it runs, and no longer: libraries would take this process for RedisGears."""
    script = (
        "import redisgears\n"
        "from redisgears import executeCommand as ex, getMyHashTag, atomicCtx, config_get, log, gearsFutureCtx\n"
        "from __main__ import GB as Builder, configGet, gearsConfigGet\n"
        "def inner(_):\n"
        "    from redisgears import executeCommand\n"
        "    return executeCommand('GET', 'k'), hashtag3() == '{%s}' % getMyHashTag()\n"
        "ex('SET', 'k', 'v')\n"
        "Builder('ShardsIDReader').map(inner).run()"
    )
    assert old(script).results == ["('v', True)"]
    assert client.execute(script).results == [("v", True)]
    assert "redisgears" not in sys.modules
    assert not hasattr(sys.modules["__main__"], "configGet")


def test_flat_errors_and_wrong_calls_say_what_they_are(old):
    """`flat_error`'s message alone; arguments of the functions are checked."""
    outcome = old(
        "GB('PythonReader').foreach(lambda n: flat_error('no ' + str(n)) if n else isAsyncAllow() or 1 / 0)"
        ".run(lambda: [0, 1])"
    )
    assert (outcome.results, outcome.errors) == (["0"], ["no 1"])
    for call, message in {
        "setFutureResults(5, 1)": "f must be a future",
        "runCoroutine(print)": "cr must be a coroutine",
        "runCoroutine(None, delay=-1)": "cr must be a coroutine",
        "f = createFuture(); setFutureResults(f, 1); setFutureResults(f, 2)": "has its result already",
        "registerTimeEvent(0, print)": "0.01 s or more",
        "registerTimeEvent('1', print)": "a number of seconds",
        "registerTimeEvent(1, 5)": "callback must be a function",
    }.items():
        with pytest.raises(ScriptError, match=message):
            old(call)


def test_a_time_event_is_a_registration(client):
    """Of a reader of its own; its interval is its argument."""
    client.execute("registerTimeEvent(2.5, lambda: None)", session="timed")
    (item,) = client.registrations()
    assert (item.id, item.reader, item.delivery) == ("timed/TimeEvent:2.5", Reader.TIME, "at-most-once")
    assert client.show(item.id).arguments == {"interval": 2.5}
