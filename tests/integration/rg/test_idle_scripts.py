"""ExecutionMaxIdleTime: an execution of a script that makes no progress is aborted, wherever it stands still."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import redis

from geartrain.client import Client
from geartrain.client.distributed import LEAST
from geartrain.pipeline import Progress, watching
from geartrain.wire import Endpoint, access
from geartrain.worker.membership import live
from support.redisgears import client, emptied, execute, served_server, wait_until_served
from support.waiting import wait_for

pytestmark = pytest.mark.timeout(180)

ABORTED = [[], ["execution aborted"]]


@pytest.fixture(scope="module")
def shared():
    """One server for this module's tests, whose RG.* commands are served by a service alone."""
    with served_server("valkey-9.1") as (server, _):
        yield server


@pytest.fixture
def r(shared):
    """A client of the server, which is empty but for its numbers."""
    with emptied(shared) as r:
        yield r


def allow(r, milliseconds):
    """Set ExecutionMaxIdleTime."""
    r.execute_command("RG.CONFIGSET", "ExecutionMaxIdleTime", milliseconds)


def statuses(r):
    """Of all executions that are kept, the oldest first."""
    found = r.zrange("geartrain:{registry}:executions", 0, -1)
    return [r.hget(f"geartrain:{{registry}}:execution:{name}", "status") for name in found]


STANDS = {
    "sleeps": "import time\nGB('ShardsIDReader').foreach(lambda x: time.sleep(600)).run()",
    "works": "def f(x):\n    while True: pass\nGB('ShardsIDReader').foreach(f).run()",
    "waits for a command": "GB('ShardsIDReader').foreach(lambda x: execute('blpop', 'nothing', 0)).run()",
    "waits for a coroutine": (
        "import asyncio\nasync def f(x): await asyncio.Event().wait()\nGB('ShardsIDReader').foreach(f).run()"
    ),
    "reads": "import time\ndef f():\n    yield 1\n    time.sleep(600)\nGB('PythonReader').run(f)",
    "in a second run": "import time\nasync def f(x):\n"
    "    await GB('ShardsIDReader').foreach(lambda y: time.sleep(600)).run()\nGB('ShardsIDReader').foreach(f).run()",
    "behind a barrier": "import time\nGB('ShardsIDReader').sort().foreach(lambda x: time.sleep(600)).run()",
}


@pytest.mark.parametrize("script", STANDS.values(), ids=STANDS)
def test_one_that_stands_still_is_aborted(r, script):
    """Its client is told; its process is not ended, and other scripts run."""
    allow(r, 300)
    assert execute(r, f"import os\nexecute('set', 'pid', os.getpid())\n{script}") == ABORTED
    assert statuses(r)[-1] == "aborted"
    assert Path(f"/proc/{r.get('pid')}").exists()
    assert execute(r, "GB('ShardsIDReader').count().run()") == [["1"], []]


@pytest.mark.parametrize("dialect", ["redisgears-1.2", "geartrain"])
def test_one_that_nobody_waits_for_is_aborted(r, dialect):
    """UNBLOCKING, in both dialects."""
    allow(r, 300)
    execute(r, STANDS["sleeps"], "UNBLOCKING", "DIALECT", dialect)
    wait_for(lambda: statuses(r) == ["aborted"], 20)


def test_in_the_dialect_geartrain_it_is_an_error(r):
    """As whatever else ends a script there."""
    allow(r, 300)
    with pytest.raises(redis.ResponseError, match="execution aborted"):
        execute(r, STANDS["sleeps"], "DIALECT", "geartrain")
    assert statuses(r) == ["aborted"]


C_CODE = {
    "re": "import re\nf = lambda x: re.match('(a|aa)+$', 'a' * 60 + 'b')",
    "int": "f = lambda x: pow(3, 1 << 40)",
}


@pytest.mark.parametrize("function", C_CODE.values(), ids=C_CODE)
def test_one_that_keeps_the_interpreter_busy_is_ended(r, function):
    """C code that never returns: its process is killed, and the next script has another."""
    allow(r, 300)
    assert execute(r, f"{function}\nGB('ShardsIDReader').foreach(f).run()") == ABORTED
    wait_for(lambda: statuses(r) == ["aborted"])
    assert execute(r, "x = 1") == "OK"


GOES_ON = {
    "records": "GB('PythonReader').foreach(slow).run(lambda: range(20))",
    "a slow reader": "GB('PythonReader').run(lambda: (slow(x) for x in range(20)))",
    "behind a barrier": "GB('PythonReader').sort().foreach(slow).run(lambda: range(20))",
    "of one record": "GB('ShardsIDReader').flatmap(lambda x: list(range(20))).foreach(slow).run()",
    "groups": "GB('PythonReader').batchgroupby(str, lambda k, r: slow(k)).run(lambda: range(20))",
    "folded groups": "GB('PythonReader').aggregateby(str, 0, lambda k, a, x: a, lambda k, a, b: slow(k))"
    ".run(lambda: range(20))",
    "a second run": "async def f(x): await GB('PythonReader').foreach(slow).run(lambda: range(20))\n"
    "GB('ShardsIDReader').foreach(f).run()",
}


@pytest.mark.parametrize("script", GOES_ON.values(), ids=GOES_ON)
def test_one_that_makes_progress_goes_on(r, script):
    """Three seconds in all, where one is allowed."""
    allow(r, 1000)
    results, errors = execute(r, f"import time\nslow = lambda x: time.sleep(0.15)\n{script}")
    assert errors == []
    assert statuses(r) == ["done"]
    assert len(results) in {1, 20}


ALSO_IN_GEARTRAIN = {
    "coroutines at the same time": "import asyncio\nasync def f(x): await asyncio.sleep(0.15 * x)\n"
    "GB('PythonReader').foreach(f).run(lambda: range(20))",
    "groups": "import time\nGB('PythonReader').batchgroupby(str, lambda k, r: time.sleep(0.15)).run(lambda: range(20))",
    "folded groups": "import time\n"
    "GB('PythonReader').aggregateby(str, 0, lambda a, x: a, lambda a, b: time.sleep(0.15)).run(lambda: range(20))",
}


@pytest.mark.parametrize("script", ALSO_IN_GEARTRAIN.values(), ids=ALSO_IN_GEARTRAIN)
def test_one_of_the_dialect_geartrain_goes_on_too(r, script):
    """What differs there."""
    allow(r, 1000)
    results, errors = execute(r, script, "DIALECT", "geartrain")
    assert (len(results), errors) == (20, [])


def test_a_scan_that_finds_nothing_is_progress(r, shared):
    """Its pages are: five thousand keys are several."""
    r.mset({f"k:{number}": 1 for number in range(5000)})
    progress = Progress()
    with watching(progress), Client(shared.url) as program:
        assert program.execute("GB('KeysReader').run('nothing:*')").results == []
    assert progress.count >= 4


@pytest.mark.parametrize("milliseconds", [None, 0])
def test_without_a_limit_nothing_is_aborted(r, milliseconds):
    """Where it was not set, though RG.CONFIGGET tells its default; and with 0."""
    if milliseconds is not None:
        allow(r, milliseconds)
    assert r.execute_command("RG.CONFIGGET", "ExecutionMaxIdleTime") == [5000 if milliseconds is None else 0]
    results, errors = execute(r, "import time\nGB('ShardsIDReader').map(lambda x: time.sleep(6)).run()")
    assert (len(results), errors) == (1, [])


def test_the_modules_argument_counts(r):
    """As it does for registrations."""
    with served_server("valkey-9.1", ExecutionMaxIdleTime=300) as (server, _), client(server) as mine:
        assert execute(mine, STANDS["sleeps"]) == ABORTED


# -- parts that workers do ---------------------------------------------------------------------------------------------

STOPS_IN_A_WORKER = """
import os, time
mine = os.getpid()
def f(x):
    if os.getpid() != mine and execute('set', 'stopped', 1, 'nx'):
        while not execute('exists', 'release'):
            time.sleep(0.05)
    return x
"""


@pytest.fixture
def workers(shared, r, start_worker):
    """Two workers of the server, with so many keys that they are asked to help."""
    r.mset({f"k:{number}": number for number in range(LEAST + 2000)})
    for _ in range(2):
        start_worker(shared.url)
    with access(Endpoint(shared.url)) as link:
        wait_for(lambda: len(live(link)) == 2, timeout=60, message="two workers")
    yield
    r.set("release", 1)


def test_a_part_that_stands_still_in_a_worker_is_aborted(r, workers):
    """With the whole execution: the signs of life of the worker do not count."""
    allow(r, 800)
    began = time.monotonic()
    assert execute(r, STOPS_IN_A_WORKER + "GB().map(f).map(lambda x: x['key']).run('k:*')") == ABORTED
    assert time.monotonic() < began + 20
    assert r.get("stopped") == "1"
    assert statuses(r) == ["aborted"]


def test_a_part_that_goes_on_in_a_worker_is_not_aborted(r, workers):
    """Its signs of life tell: four seconds, where half of one is allowed."""
    allow(r, 500)
    script = """
import os, time
mine = os.getpid()
def f(x):
    if os.getpid() != mine and x['key'].endswith('77'):
        time.sleep(0.04)
    return 1
GB().map(f).aggregate(0, lambda a, x: a + x, lambda a, b: a + b).run('k:*')
"""
    began = time.monotonic()
    assert execute(r, script) == [[str(LEAST + 2000)], []]
    assert time.monotonic() > began + 3


def test_a_part_that_stands_still_on_a_cluster_is_aborted(make_cluster, start_worker):
    """In a worker too."""
    cluster = make_cluster(module={"dialect": "redisgears-1.2", "workers": 0})
    start_worker(cluster.url)
    with client(cluster.nodes[0]) as r:
        wait_until_served(r)
        allow_on(cluster, 800)
        script = (
            "import os, time\nmine = os.getpid()\n"
            "GB('ShardsIDReader').foreach(lambda x: time.sleep(0 if os.getpid() == mine else 20)).run()"
        )
        assert execute(r, script) == ABORTED
        assert execute(r, "GB('ShardsIDReader').count().run()") == [["3"], []]


def allow_on(cluster, milliseconds):
    """Set ExecutionMaxIdleTime."""
    with client(cluster.nodes[0]) as r:
        allow(r, milliseconds)
