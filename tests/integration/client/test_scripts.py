"""Scripts that the client runs in this process: names in scope, results, errors, and how their code travels."""

from __future__ import annotations

import subprocess
import sys

import pytest

from geartrain import (
    ArgumentError,
    CodeError,
    CommandError,
    Dialect,
    NeedsModule,
    ScriptError,
    ServerUnavailable,
    StepError,
)
from geartrain.registry import Store

ALL_NAMES = """
names = [GearsBuilder, GB, execute, execute.later, atomic, log, hashtag, configGet, gearsConfigGet, redisgears]
redisgears.executeCommand('SET', 'count', len(names))
"""


def test_a_script_sees_the_names_of_the_specification(client, link):
    """Without any import."""
    client.execute(ALL_NAMES)
    assert link.call("GET", "count") == "10"


def test_the_results_of_every_run_are_in_the_outcome(client, link):
    """In the order of the calls, each with what it read; `results` joins them."""
    link.pipeline([("SET", f"k:{number}", number) for number in range(3)])
    outcome = client.execute(
        "add = lambda a, r: a + r\n"
        "GB('KeysReader', desc='sum').map(lambda r: int(r['value'])).aggregate(0, add, add).run('k:*')\n"
        "GB('PythonReader').map(lambda n: n * 2).run(lambda: [1, 2])"
    )
    assert [(str(run.reader), run.pattern, run.description, run.results) for run in outcome.runs] == [
        ("KeysReader", "k:*", "sum", [3]),
        ("PythonReader", "*", None, [2, 4]),
    ]
    assert outcome.results == [3, 2, 4]
    assert outcome.submitted is None


def test_run_returns_its_results_to_the_script(client, link):
    """A script can go on with what run() gave, and its effects are done by then."""
    link.pipeline([("XADD", "s", "*", "n", number) for number in range(1500)])
    client.execute(
        "records = GB('StreamReader').foreach(lambda r: execute('INCR', 'seen')).run('s')\n"
        "execute('SET', 'results', len(records))\n"
        "execute('SET', 'seen then', execute('GET', 'seen'))"
    )
    assert [link.call("GET", key) for key in ("results", "seen then")] == ["1500", "1500"]


def test_a_run_inside_of_a_step_does_not_disturb_the_outer_one(client, link):
    """Commands that the outer run still holds back are sent all the same."""
    outcome = client.execute(
        "def inner(n):\n"
        "    execute.later('INCR', 'outer')\n"
        "    return GB('PythonReader').foreach(lambda m: execute('INCR', 'inner')).count().run(lambda: range(n))[0]\n"
        "GB('PythonReader').map(inner).run(lambda: [1, 2, 3])"
    )
    assert outcome.runs[-1].results == [1, 2, 3]
    assert [link.call("GET", key) for key in ("outer", "inner")] == ["3", "6"]


def test_async_steps_run(client):
    """An `async def` step works in run(), with results in order."""
    outcome = client.execute(
        "import asyncio\n"
        "async def later(n):\n"
        "    await asyncio.sleep(0)\n"
        "    return n + 1\n"
        "GB('PythonReader').map(later).run(lambda: range(4))"
    )
    assert outcome.results == [1, 2, 3, 4]


def test_deferred_commands_of_the_script_itself_are_sent(client, link):
    """`execute.later` outside of any run is done when the script is."""
    client.execute("execute.later('SET', 'k', 'v')")
    assert link.call("GET", "k") == "v"


def test_the_dialect_is_that_of_runs_and_of_registrations(client, link):
    """`redisgears-1.2` changes records and the defaults of register()."""
    link.call("XADD", "s", "1-1", "f", "v")
    outcome = client.execute(
        "GB('StreamReader').run('s'); GB('StreamReader').register('s')", dialect=Dialect.REDISGEARS_1_2
    )
    assert outcome.results == ["{'key': 's', 'id': '1-1', 'value': {'f': 'v'}}"]
    details = client.show(outcome.registered[0])
    assert details.info.dialect is Dialect.REDISGEARS_1_2
    assert (details.arguments["trimStream"], details.arguments["onFailedPolicy"]) == (True, "continue")


def test_an_error_shows_the_script_and_nothing_of_ours(client):
    """The traceback has the script's lines only, with their text."""
    with pytest.raises(ScriptError, match=r"^<client> raised ZeroDivisionError: division by zero$") as caught:
        client.execute("def f():\n    return 1 / 0\nf()")
    assert "return 1 / 0" in caught.value.trace
    assert "geartrain" not in caught.value.trace
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_step_that_raises_in_run_names_step_record_and_line(client, link):
    """What went wrong, on which record, at which line."""
    link.call("SET", "k", "v")
    with pytest.raises(ScriptError, match=r"step 1, map\(<lambda> at <client>:1\) raised KeyError") as caught:
        client.execute("GB().map(lambda r: r['nope']).run()")
    assert isinstance(caught.value.__cause__, StepError)
    assert "'key': 'k'" in str(caught.value)
    assert "lambda r: r['nope']" in caught.value.trace


def test_a_refused_deferred_command_fails_the_run_with_its_record(client, link):
    """Nobody waits for the reply of the last `execute` in a foreach, and still its error is reported."""
    link.pipeline([("XADD", "s", "*", "n", 1), ("RPUSH", "list", "x")])
    with pytest.raises(ScriptError, match="WRONGTYPE") as caught:
        client.execute("GB('StreamReader').foreach(lambda r: execute('INCR', 'list')).run('s')")
    assert isinstance(caught.value.__cause__, StepError)
    assert isinstance(caught.value.__cause__.__cause__, CommandError)


@pytest.mark.parametrize("source", ["def f(:", "x = 'a\n", "\x00"])
def test_what_is_no_python_is_a_script_error(client, source):
    """A syntax error is the script's, too."""
    with pytest.raises(ScriptError, match="<client> raised SyntaxError"):
        client.execute(source)


def test_a_script_that_ends_itself_submits_nothing(client):
    """sys.exit() in a script is an error that says so."""
    with pytest.raises(ScriptError, match=r"ended itself with 3 \(sys.exit\(\)\); nothing was submitted"):
        client.execute("import sys\nGB('StreamReader').register('s')\nsys.exit(3)")
    assert client.registrations() == []


def test_what_was_registered_before_an_error_is_not_submitted(client):
    """All or nothing."""
    with pytest.raises(ScriptError):
        client.execute("GB('StreamReader').register('s')\n1/0")
    assert client.registrations() == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("GB().register('k*', mode='sync')", "mode='sync' .* needs the server module; .* `loadmodule PATH`"),
        ("GB('StreamReader').register('s', mode='sync')", "mode='sync' .* needs the server module"),
    ],
)
def test_what_only_the_module_can_do_says_so_and_submits_nothing(client, call, message):
    """The error names the pattern, what is needed and how it would be loaded."""
    with pytest.raises(NeedsModule, match=message):
        client.execute(f"GB('StreamReader').register('before')\n{call}")
    assert client.registrations() == []


def test_key_events_are_registered_with_a_warning(client):
    """Best effort is said at the registration, and shown with it."""
    outcome = client.execute("GB().register('k*')\nGB('StreamReader').register('s')")
    assert len(outcome.warnings) == 1
    assert outcome.warnings[0].startswith("best effort: client/KeysReader:k*: ")
    assert {info.id: str(info.delivery) for info in client.registrations()} == {
        "client/KeysReader:k*": "best-effort",
        "client/StreamReader:s": "at-least-once",
    }


def test_what_has_no_effect_without_the_module_is_said(client):
    """One sentence for each registration that asks for such a thing."""
    outcome = client.execute("GB().register('k*', snapshot=True)\nGB().register('l*', partitions=2, outboxLimit=9)")
    assert [text.partition(";")[0] for text in outcome.warnings[1:]] == [
        "client/KeysReader:k*: without the server module, snapshot=True has no effect",
        "client/KeysReader:l*: without the server module, partitions=2, outboxLimit=9 have no effect",
    ]


def test_a_server_that_is_away_is_no_error_of_the_script(client, fresh_server):
    """ServerUnavailable comes through as it is."""
    server = fresh_server()
    server.kill()
    with pytest.raises(ServerUnavailable):
        type(client)(server.url).execute("execute('PING')")


def test_a_script_is_not_main(client, link):
    """What a script keeps for `python script.py` does not run, and its file's name is there."""
    client.execute("if __name__ == '__main__': 1/0\nexecute('SET', 'file', __file__)", path="shop.py")
    assert link.call("GET", "file") == "shop.py"


def test_dataclasses_with_postponed_annotations_work(client):
    """The script is a proper module while it runs: dataclasses look it up."""
    outcome = client.execute(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Order:\n"
        "    amount: int\n"
        "GB('PythonReader').map(lambda n: Order(n).amount).run(lambda: [7])"
    )
    assert outcome.results == [7]


def test_nothing_of_a_script_stays_behind(client, write):
    """Its module, those it imported from its directory, and its place in sys.path are gone afterwards."""
    write("geartrain_test_helper.py", "VALUE = 1\n")
    script = write("shop.py", "import geartrain_test_helper\n")
    path_before, modules_before = list(sys.path), set(sys.modules)
    client.submit_file(script)
    assert sys.path == path_before
    assert {name for name in set(sys.modules) - modules_before if "geartrain_test" in name or "shop" in name} == set()


def test_two_scripts_may_have_helpers_of_the_same_name(client, tmp_path):
    """Each gets its own, from its own directory."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "helpers.py").write_text(f"NAME = {name!r}\n")
        (tmp_path / name / "script.py").write_text("import helpers\nGB('PythonReader').run(lambda: [helpers.NAME])")
    found = [client.submit_file(tmp_path / name / "script.py").results for name in ("a", "b")]
    assert found == [["a"], ["b"]]


LOAD = """
import sys
from geartrain.registry import Store, open_parcel
from geartrain.wire import Endpoint, Link
codes = open_parcel(Store(Link(Endpoint(sys.argv[1]))).parcel("shop"))
codes[0].on_registered()
print([step.functions[0]({"n": 4}) for code in codes for step in code.steps])
"""


def test_the_code_travels_with_the_scripts_own_modules(client, valkey, write, tmp_path_factory):
    """Another process, which has neither the script nor its helpers, runs all of it, with the globals shared."""
    write("rates.py", "FACTOR = 10\ndef times(n):\n    return n * FACTOR\n")
    script = write(
        "shop.py",
        "import rates\n"
        "from rates import times\n"
        "offset = None\n"
        "def prepare():\n"
        "    global offset\n"
        "    offset = 5\n"
        "GB('StreamReader').map(lambda r: times(r['n']) + offset).register('a', onRegistered=prepare)\n"
        "GB('StreamReader').map(lambda r: rates.times(r['n']) - offset).register('b')\n",
    )
    client.submit_file(script)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, valkey.url],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path_factory.mktemp("elsewhere"),
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("[45, 35]", "")


def test_what_cannot_travel_is_an_error_that_says_where_it_belongs(client):
    """A lock cannot be pickled: onRegistered is the place for it."""
    with pytest.raises(CodeError, match="belongs in onRegistered"):
        client.execute(
            "import threading\nlock = threading.Lock()\nGB('StreamReader').map(lambda r: lock).register('s')"
        )
    assert client.registrations() == []


def test_the_session_is_named_after_the_script(client, write):
    """Without directory and extension, and without what a name may not have."""
    script = write("my shop.py", "GB('StreamReader').register('s')")
    assert client.submit_file(script).registered == ["my-shop/StreamReader:s"]
    assert client.submit_file(script, session="other").registered == ["other/StreamReader:s"]


def test_a_script_that_cannot_be_read_is_a_wrong_argument(client, tmp_path):
    """The message names the file and the reason."""
    with pytest.raises(ArgumentError, match=r"script: '.*nope\.py' cannot be read: No such file"):
        client.submit_file(tmp_path / "nope.py")


@pytest.mark.parametrize("name", ["", "two words", "{tag}", 7])
def test_a_session_needs_a_proper_name(client, name):
    """Empty, with spaces or with braces: refused before the script runs."""
    with pytest.raises(ArgumentError, match=r"session: .* is no name"):
        client.execute("1/0", session=name)


def test_the_source_is_kept_for_display(client, write, link):
    """`show` gives the script's text and path."""
    script = write("shop.py", "# the shop\nGB('StreamReader').register('s', name='x')\n")
    client.submit_file(script)
    details = client.show("x")
    assert (details.script, details.source) == (str(script), script.read_text())
    assert Store(link).source("shop") == script.read_text()
