"""RG.PYEXECUTE from a client's connection to its reply: the module, the service, an executor."""

from __future__ import annotations

import re

import pytest
import redis

from support.redisgears import PATIENCE, client, emptied, execute, pairs, registrations, served_server
from support.waiting import wait_for

ID = re.compile(r"0{40}-\d+")


@pytest.fixture(scope="module", params=["valkey-9.1", "redis-8.2"])
def shared(request):
    """One server for this module's tests, whose RG.* commands are served by a service alone."""
    with served_server(request.param) as server_and_service:
        yield server_and_service


@pytest.fixture(params=[2, 3])
def r(request, shared):
    """A client, of both protocols; the server is empty, but for its numbers."""
    with emptied(shared[0], request.param) as r:
        yield r


def test_results_and_errors_are_two_lists(r):
    """Records become text, as `convertToStr` says."""
    r.mset({"a": 1, "b": 2})
    results, errors = execute(r, "GB().map(lambda x: x['key']).run('?')")
    assert (sorted(results), errors) == (["a", "b"], [])


def test_a_script_that_runs_nothing_is_ok(r):
    """Also where it registers something."""
    assert execute(r, "x = 1") == "OK"
    assert execute(r, "GB('StreamReader').register('s')") == "OK"
    assert [item["reader"] for item in registrations(r)] == ["StreamReader"]


def test_a_script_runs_one_execution(r):
    """A second one is an error, and neither is executed."""
    with pytest.raises(redis.ResponseError, match="Can not run more then 1 executions in a single script"):
        execute(r, "GB('ShardsIDReader').foreach(lambda x: execute('incr', 'n')).run()\nGB().run()")
    assert not r.exists("n")


def test_an_error_is_the_list_of_its_traceback(r):
    """As text, with the script's line; without the traceback the message alone."""
    with pytest.raises(redis.ResponseError) as caught:
        execute(r, "def f():\n    raise ValueError('no')\nf()")
    text = str(caught.value)
    assert text.startswith("['Traceback")
    assert "line 2, in f" in text
    assert text.endswith("'ValueError: no\\n']")
    r.execute_command("RG.CONFIGSET", "PythonAttemptTraceback", 0)
    with pytest.raises(redis.ResponseError, match=r"^no$"):
        execute(r, "raise ValueError('no')")


def test_a_script_that_is_no_python_is_an_error(r):
    """With the reason."""
    with pytest.raises(redis.ResponseError, match="SyntaxError"):
        execute(r, "GB(.run()")


def test_sessions_have_globals_of_their_own(r):
    """What a script has defined, the next one does not see."""
    execute(r, "x = 1")
    with pytest.raises(redis.ResponseError, match="NameError"):
        execute(r, "x")


@pytest.mark.parametrize("dialect", ["redisgears-1.2", "geartrain"])
def test_unblocking_answers_with_the_id_of_the_execution(r, dialect):
    """At once; its results come later."""
    script = "import time\nGB('ShardsIDReader').map(lambda x: time.sleep(0.2)).map(lambda x: 7).run()"
    execution = execute(r, script, "UNBLOCKING", "DIALECT", dialect)
    assert ID.fullmatch(execution)
    kept = f"geartrain:{{registry}}:execution:{execution}"
    assert r.hget(kept, "status") == "running"
    wait_for(lambda: r.hget(kept, "status") == "done")
    assert r.hget(kept, "results") == "1"
    assert r.hget(kept, "result_blob") in ("*1\r\n$1\r\n7\r\n", "*1\r\n:7\r\n")


def test_the_dialect_geartrain_gives_the_results_of_all_runs(r):
    """`run()` returns them in the script too."""
    script = "n = GB('ShardsIDReader').count().run()\nGB('PythonReader').run(lambda: iter(n + [1.5, None, 'x']))"
    results, errors = execute(r, script, "DIALECT", "geartrain")
    assert errors == []
    assert [float(item) if item not in (None, "x") else item for item in results] == [1, 1, 1.5, None, "x"]


@pytest.mark.parametrize("ending", ["os._exit(3)", "os.kill(os.getpid(), 11)", "os.abort()"])
def test_a_script_that_ends_its_process_is_an_error_for_its_client(r, ending):
    """The next one has a new process."""
    with pytest.raises(redis.ResponseError, match=r"process (ended with exit code 3|was killed by signal)"):
        execute(r, f"import os\n{ending}")
    assert execute(r, "x = 1") == "OK"


def test_an_execution_that_ends_its_process_has_ended_with_that_error(r):
    """It is not shown as running for ever."""
    with pytest.raises(redis.ResponseError, match="exit code 4"):
        execute(r, "import os\nGB('ShardsIDReader').foreach(lambda x: os._exit(4)).run()")
    (execution,) = r.zrange("geartrain:{registry}:executions", 0, -1)
    kept = r.hgetall(f"geartrain:{{registry}}:execution:{execution}")
    assert kept["status"] == "done"
    assert "exit code 4" in kept["error_blob"]


@pytest.mark.parametrize(
    "script", ["import time\nf = lambda x: time.sleep(600)", "def f(x):\n    while True: pass"], ids=["waits", "works"]
)
def test_an_execution_can_be_aborted(r, shared, script):
    """What it does ends; its process goes on with the next script."""
    execution = execute(r, f"{script}\nGB('ShardsIDReader').foreach(f).run()", "UNBLOCKING")
    owner = r.hget(f"geartrain:{{registry}}:execution:{execution}", "owner")
    assert r.execute_command("GEARTRAIN.CALL", owner, "ABORT", execution) == "OK"
    assert r.hget(f"geartrain:{{registry}}:execution:{execution}", "status") == "aborted"
    with pytest.raises(redis.ResponseError, match="does not run here"):
        r.execute_command("GEARTRAIN.CALL", owner, "ABORT", execution)
    assert execute(r, "x = 1") == "OK"


def test_one_that_does_not_let_itself_be_aborted_is_killed(r):
    """After two seconds; its client is told that it was aborted."""
    script = (
        "def f(x):\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass\n"
        "GB('ShardsIDReader').foreach(f).run()"
    )
    execution = execute(r, script, "UNBLOCKING")
    owner = r.hget(f"geartrain:{{registry}}:execution:{execution}", "owner")
    assert r.execute_command("GEARTRAIN.CALL", owner, "ABORT", execution) == "OK"
    kept = f"geartrain:{{registry}}:execution:{execution}"
    assert wait_for(lambda: r.hget(kept, "status") == "aborted")


def test_scripts_run_at_the_same_time(r, shared):
    """Three of them, each in a process of its own."""
    from threading import Thread

    script = (
        "import time\nexecute('incr', 'here')\n"
        "while int(execute('get', 'here')) < 3: time.sleep(0.01)\nlog('all are here')"
    )
    answers = []

    def call():
        with client(shared[0]) as mine:
            answers.append(execute(mine, script))

    threads = [Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == ["OK"] * 3


def test_large_results_arrive(r):
    """Thirty megabytes of them."""
    results, errors = execute(r, "GB('PythonReader').run(lambda: iter(['x' * 10_000_000] * 3))")
    assert [len(item) for item in results] == [10_000_000] * 3
    assert errors == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("UNBLOCKING", "UNBLOCKING"), "UNBLOCKING was given twice"),
        (("ID", "a", "id", "b"), "ID was given twice"),
        (("ID",), "ID has no value"),
        (("WHATEVER",), "'WHATEVER' is no argument of RG.PYEXECUTE"),
        (("DIALECT", "redisgears-2"), "DIALECT: 'redisgears-2' is none"),
        (("REQUIREMENTS",), "REQUIREMENTS is followed by requirements"),
        (("ID", "two words"), "is no name"),
    ],
)
def test_wrong_arguments_are_said(r, arguments, message):
    """And the script does not run."""
    with pytest.raises(redis.ResponseError, match=message):
        execute(r, "execute('set', 'ran', 1)", *arguments)
    assert not r.exists("ran")


def test_a_session_has_a_name_and_a_description(r):
    """One is made up where none is given."""
    execute(r, "GB('StreamReader').register('a')", "ID", "mine", "DESCRIPTION", "counts")
    execute(r, "GB('StreamReader').register('b')")
    named, generated = sorted(map(pairs, r.execute_command("RG.PYDUMPSESSIONS")), key=lambda x: x["ID"], reverse=True)
    assert (named["ID"], named["sessionDescription"], named["refCount"]) == ("mine", "counts", 1)
    assert ID.fullmatch(generated["ID"])
    assert generated["sessionDescription"] is None
    assert generated["registrations"] != named["registrations"]


def test_a_session_that_is_there_is_upgraded_where_that_is_said(r):
    """What is registered again keeps its id; the rest goes, or comes."""
    execute(r, "GB('StreamReader').register('a'); GB('StreamReader').register('b')", "ID", "mine")
    before = {item["RegistrationData"]["args"][5]: item["id"] for item in registrations(r)}
    again = "GB('StreamReader').register('b'); GB('StreamReader').register('c')"
    with pytest.raises(redis.ResponseError, match="there is a session 'mine' already"):
        execute(r, f"execute('set', 'ran', 1); {again}", "ID", "mine")
    assert not r.exists("ran")
    execute(r, again, "ID", "mine", "UPGRADE")
    after = {item["RegistrationData"]["args"][5]: item["id"] for item in registrations(r)}
    assert after.keys() == {"b", "c"}
    assert after["b"] == before["b"]
    assert after["c"] not in before.values()


def test_a_session_replaces_another_one(r):
    """Whose registrations go on in it; replacing nothing is an error."""
    execute(r, "GB('StreamReader').register('a')", "ID", "old")
    (before,) = registrations(r)
    execute(r, "GB('StreamReader').register('a')", "ID", "new", "REPLACE_WITH", "old")
    (after,) = registrations(r)
    assert after["id"] == before["id"]
    assert "'sessionId': 'new'" in after["PD"]
    assert [pairs(item)["ID"] for item in r.execute_command("RG.PYDUMPSESSIONS")] == ["new"]
    with pytest.raises(redis.ResponseError, match="no session 'old' to replace"):
        execute(r, "x = 1", "ID", "newer", "REPLACE_WITH", "old")


def test_an_upgrade_that_registers_nothing_leaves_no_registrations(r):
    """The new session has none, and is not kept."""
    execute(r, "GB('StreamReader').register('a')", "ID", "mine")
    assert execute(r, "x = 1", "ID", "mine", "UPGRADE") == "OK"
    assert registrations(r) == []
    assert r.execute_command("RG.PYDUMPSESSIONS") == []


def test_a_trigger_is_one_registration_s(r):
    """The error is one of the script's lines; a session may take the place of the one that has it."""
    script = "GB('CommandReader').register(trigger='t')"
    assert execute(r, script, "ID", "first") == "OK"
    with pytest.raises(redis.ResponseError, match=r"^\['Traceback.*trigger already registered: 't' is that of 0{40}-"):
        execute(r, script)
    assert execute(r, script, "ID", "first", "UPGRADE") == "OK"
    assert execute(r, script, "ID", "second", "REPLACE_WITH", "first") == "OK"
    with pytest.raises(redis.ResponseError, match="trigger already registered: 't', by this script"):
        execute(r, f"{script}\n{script}", "ID", "second", "UPGRADE")
    assert execute(r, "GB('CommandReader').register(trigger='T')") == "OK"
    assert len(registrations(r)) == 2
