"""`--requirements`, as users give it: from a file to a function that imports what a worker has installed."""

from __future__ import annotations

import json

import pytest

from geartrain.wire import Endpoint, Link
from support.waiting import wait_for
from support.wheels import make_wheel

SCRIPT = """
def step(record):
    import gtcolour
    execute('rpush', 'seen', gtcolour.VERSION)

GB('StreamReader').foreach(step).register('s', name='coloured')
"""


@pytest.fixture
def told(tmp_path):
    """The environment of workers: a folder of wheels, and a place for what is made of them."""
    make_wheel(tmp_path / "wheels", "gtcolour", "1.0")
    (tmp_path / "requirements.txt").write_text("gtcolour==1.0  # the first\n")
    (tmp_path / "shop.py").write_text(SCRIPT)
    return {"GEARTRAIN_WHEELS": str(tmp_path / "wheels"), "GEARTRAIN_ENVIRONMENTS": str(tmp_path / "made")}


def test_run_installs_what_a_script_needs(cli, valkey, told, tmp_path):
    """`ready` is said when the session's own process is there; Ctrl-C ends that too."""
    process = cli("run", "shop.py", "--requirements", "requirements.txt", "--url", valkey.url, env=told, cwd=tmp_path)
    process.wait_for_line("installing gtcolour==1.0", 60)
    process.wait_for_line("^ready", 60)
    with Link(Endpoint(valkey.url)) as link:
        link.call("XADD", "s", "*", "a", 1)
        wait_for(lambda: link.call("LRANGE", "seen", 0, -1) == ["1.0"])
        assert process.terminate() == 0
        assert link.call("HLEN", "geartrain:{registry}:workers") == 0


def test_show_and_doctor_tell_what_cannot_be_installed(cli, geartrain, valkey, told, tmp_path):
    """What pip said, and that nobody runs the session."""
    (tmp_path / "requirements.txt").write_text("gtcolour==9\n")
    assert geartrain("register", "shop.py", "--requirements", "requirements.txt").returncode == 0
    worker = cli("worker", "--url", valkey.url, env=told, cwd=tmp_path)
    worker.wait_for_line("gtcolour==9 cannot be installed", 60)

    def shown():
        return json.loads(geartrain("show", "coloured", "--json").stdout)

    wait_for(lambda: shown()["last_error"])
    assert "No matching distribution found for gtcolour==9" in shown()["last_trace"]
    assert shown()["requirements"] == ["gtcolour==9"]
    text = geartrain("show", "coloured").stdout
    assert "requirements" in text
    assert "No matching distribution found" in text
    done = geartrain("doctor")
    assert done.returncode == 1
    assert "no worker has gtcolour==9, for coloured: gtcolour==9 cannot be installed" in done.stdout


def test_a_file_that_says_more_than_requirements_is_refused(geartrain, told, tmp_path):
    """Before anything runs, with the line."""
    (tmp_path / "requirements.txt").write_text("--index-url here\n")
    done = geartrain("register", "shop.py", "--requirements", "requirements.txt")
    assert done.returncode != 0
    assert "line 1" in done.stderr
