"""`geartrain exec`, as users run it."""

from __future__ import annotations

import json

import pytest

from geartrain.wire import Endpoint, Link


def test_results_are_printed_one_on_a_line(geartrain):
    """Text as it is, everything else as Python writes it."""
    done = geartrain("exec", "-c", "GB('PythonReader').run(lambda: ['text', 1, None, b'\\xff', {'a': [1]}, 'a\\nb'])")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["text", "1", "None", "b'\\xff'", "{'a': [1]}", "'a\\nb'"]


def test_errors_of_single_records_follow_the_results(geartrain):
    """In the dialect of RedisGears, whose one run() is executed when the script has ended; the exit code is 1."""
    script = "GB('PythonReader').map(lambda n: 6 // n).run(lambda: [1, 0, 3])\nprint('ended')"
    done = geartrain("exec", "--dialect", "redisgears-1.2", "-c", script)
    assert (done.returncode, done.stdout.splitlines()) == (1, ["ended", "6", "2"])
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("how", ["file", "stdin", "dash"])
def test_code_comes_from_a_file_or_from_standard_input(geartrain, tmp_path, how):
    """FILE, nothing, or `-`."""
    source = "GB('PythonReader').count().run(lambda: range(5))"
    (tmp_path / "count.py").write_text(source)
    done = {
        "file": lambda: geartrain("exec", "count.py"),
        "stdin": lambda: geartrain("exec", stdin=source),
        "dash": lambda: geartrain("exec", "-", stdin=source),
    }[how]()
    assert (done.returncode, done.stdout, done.stderr) == (0, "5\n", "")


def test_a_file_imports_its_neighbours(geartrain, tmp_path):
    """The script's directory is the first place that imports look in."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "neighbour.py").write_text("VALUE = 42")
    (tmp_path / "lib" / "script.py").write_text("import neighbour\nGB('PythonReader').run(lambda: [neighbour.VALUE])")
    assert geartrain("exec", "lib/script.py").stdout == "42\n"


def test_json_is_one_object_whatever_the_script_prints(geartrain, valkey):
    """Runs with their results, binary ones included; prints and logs go to standard error."""
    with Link(Endpoint(valkey.url)) as link:
        link.call("SET", "b", bytes(range(256)))
    done = geartrain("exec", "--json", "-c", "print('printed')\nlog('logged')\nGB(desc='all').run('b')")
    assert done.returncode == 0
    printed = json.loads(done.stdout)
    value = printed["runs"][0]["results"][0].pop("value")
    assert value["$base64"].startswith("AAECAwQF")
    assert printed == {
        "session": "exec",
        "registered": [],
        "runs": [
            {
                "reader": "KeysReader",
                "pattern": "b",
                "description": "all",
                "results": [{"key": "b", "type": "string", "event": None}],
            }
        ],
        "errors": [],
        "submitted": None,
        "warnings": [],
    }
    assert done.stderr.splitlines() == ["printed", "logged"]


def test_what_a_script_registers_is_submitted_and_said(geartrain, shop):
    """The notice goes to standard error: standard output is for results."""
    done = geartrain("exec", "shop.py")
    assert (done.returncode, done.stdout) == (0, "the script was here\n")
    assert "session shop: 2 added" in done.stderr
    assert len(json.loads(geartrain("ls", "--json").stdout)) == 2


def test_an_error_of_the_script_shows_its_traceback_only(geartrain, tmp_path):
    """Exit code 1; the script's line, the message, and nothing of ours."""
    (tmp_path / "bad.py").write_text("def f(r):\n    return r['nope']\n\nGB('PythonReader').map(f).run(lambda: [{}])\n")
    done = geartrain("exec", "bad.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert 'File "bad.py", line 2, in f' in done.stderr
    assert "site-packages" not in done.stderr
    assert "src/geartrain" not in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "geartrain: bad.py raised StepError: step 1, map(f at bad.py:1) raised KeyError: 'nope' on record {}"
    )


def test_text_that_cannot_be_encoded_is_shown_all_the_same(geartrain):
    """A lone surrogate in an error, in a result, in JSON."""
    done = geartrain("exec", "-c", r"raise ValueError('\udcff')")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, r"geartrain: <command> raised ValueError: \udcff")
    code = r"GB('PythonReader').run(lambda: ['\udcff'])"
    assert geartrain("exec", "-c", code).stdout == "'\\udcff'\n"
    assert json.loads(geartrain("exec", "--json", "-c", code).stdout)["runs"][0]["results"] == ["\udcff"]


def test_mode_sync_says_that_it_needs_the_module(geartrain):
    """And how it would be loaded; nothing is submitted."""
    done = geartrain("exec", "-c", "GB().foreach(print).register('k*', mode='sync')")
    assert (done.returncode, done.stdout) == (1, "")
    assert "mode='sync' runs inside of the server and needs the server module" in done.stderr
    assert "loadmodule" in done.stderr
    assert json.loads(geartrain("ls", "--json").stdout) == []


def test_a_file_and_code_together_are_wrong_use(geartrain, shop):
    """Exit code 2."""
    assert geartrain("exec", "shop.py", "-c", "1").returncode == 2
