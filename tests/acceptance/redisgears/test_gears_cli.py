"""gears-cli, as it is on PyPI: scripts, requirements, errors."""

from __future__ import annotations

import pytest

from support.gears import gears_cli, pairs, registrations
from support.servers import stable_port

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def script(tmp_path):
    """Writes a script; its path."""

    def write(text):
        path = tmp_path / "script.py"
        path.write_text(text)
        return path

    return write


def test_results_are_shown(gears, link, script):
    """Each with its number."""
    link.pipeline([("SET", "x", 1), ("SET", "y", 2)])
    ended = gears_cli(gears.port, "run", script("GB().map(lambda x: x['value']).sort(reverse=False).run()"))
    assert ended.code == 0, str(ended)
    assert [line.split('"')[1] for line in ended.out.splitlines() if '"' in line] == ["1", "2"]


def test_a_registration_is_ok(gears, link, script):
    """Nothing is run, so there are no results."""
    ended = gears_cli(gears.port, "run", script("GB('StreamReader').register('s')"))
    assert (ended.code, ended.out) == (0, "OK\n"), str(ended)
    assert [item["reader"] for item in registrations(link)] == ["StreamReader"]


def test_an_error_of_a_step_is_shown(gears, link, script):
    """The records without error are still results; the exit code says that there was one."""
    link.pipeline([("SET", "x", 1), ("SET", "y", 0)])
    ended = gears_cli(gears.port, "run", script("GB().map(lambda x: 10 / int(x['value'])).run()"))
    assert ended.code == 1, str(ended)
    assert '"10.0"' in ended.out
    assert "ZeroDivisionError" in ended.out


def test_a_script_that_cannot_be_run_is_said_so(gears, script):
    """With the reason."""
    ended = gears_cli(gears.port, "run", script("GB(.run()"))
    assert ended.code == 1, str(ended)
    assert "failed running gear function" in ended.out
    assert "SyntaxError" in ended.out


def test_options_of_the_command_are_passed_on(gears, link, script):
    """Whatever follows the file."""
    ended = gears_cli(gears.port, "run", script("GB('StreamReader').register('s')"), "ID", "mine")
    assert ended.out == "OK\n", str(ended)
    assert [pairs(item)["ID"] for item in link.call("RG.PYDUMPSESSIONS")] == ["mine"]


def test_a_file_of_requirements_is_installed(gears, link, script, tmp_path):
    """What the server's own Python has not, the script has; empty lines and comments are none."""
    required = tmp_path / "requirements.txt"
    required.write_text("# wraps functions\n\nwrapt>=1\n")
    text = "import wrapt\nGB('ShardsIDReader').map(lambda x: wrapt.__name__).run()"
    ended = gears_cli(gears.port, "run", script(text), "--requirements", required)
    assert ended.code == 0, str(ended)
    assert "1)" in ended.out
    assert "wrapt" in ended.out
    (found,) = [pairs(item) for item in link.call("RG.PYDUMPREQS")]
    assert (found["Name"], found["IsInstalled"]) == ("wrapt>=1", "yes")


def test_requirements_are_installed_beforehand(gears):
    """No script is run but one line of a log."""
    ended = gears_cli(gears.port, "install-requirements", "wrapt")
    assert ended.code == 0, str(ended)
    assert "Done" in ended.out


def test_a_package_that_is_not_there_is_an_error(gears, script):
    """The script is not run, and the message names the package."""
    ended = gears_cli(gears.port, "run", script("log('x')"), "REQUIREMENTS", "no-such-package-at-all")
    assert ended.code == 1, str(ended)
    assert "no-such-package-at-all" in ended.out


def test_no_server_is_no_hang():
    """The client says so."""
    ended = gears_cli(stable_port(), "install-requirements", "wrapt")
    assert ended.code == 1
    assert "Cannot connect to Redis" in ended.out
