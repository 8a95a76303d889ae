"""Exit codes and messages of the command line, whatever the subcommand."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import geartrain as package
from geartrain.cli import entry
from geartrain.cli.app import MODULES, app
from geartrain.server.configuration import free_port
from support.processes import GEARTRAIN, environment, run_cli

COMMANDS = [
    ("ls",),
    ("show", "x"),
    ("pause", "x"),
    ("resume", "x"),
    ("unregister", "x"),
    ("unregister", "--session", "x"),
]


def test_the_version_is_the_packages():
    """`geartrain --version`."""
    done = run_cli("--version")
    assert (done.returncode, done.stdout) == (0, f"geartrain {package.__version__}\n")


@pytest.mark.parametrize("name", MODULES)
def test_every_subcommand_has_help(name, capsys):
    """A usage line, and text."""
    assert entry.main([name, "--help"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"Usage: geartrain {name} ")
    assert printed.count("\n") > 4


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_server_that_is_not_there_is_code_3(command, capsys):
    """One line that names the address, without the password."""
    url = f"redis://user:secret@127.0.0.1:{free_port()}"
    assert entry.main([*command, "--url", url]) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(r"geartrain: no connection to redis://user:\*\*\*@127\.0\.0\.1:\d+: .*\n", printed.err)


def test_a_script_whose_server_is_not_there_is_code_3():
    """It is no error of the script."""
    done = run_cli("exec", "-c", "execute('PING')", "--url", f"redis://127.0.0.1:{free_port()}")
    assert (done.returncode, done.stdout) == (3, "")
    assert re.fullmatch(r"geartrain: no connection to redis://127\.0\.0\.1:\d+: .*\n", done.stderr)


@pytest.mark.parametrize("url", ["http://x", "127.0.0.1:6379", "redis://host:port"])
def test_a_url_that_is_none_is_wrong_use(url):
    """Code 2; the message says which forms there are, or what is wrong."""
    done = run_cli("ls", "--url", url)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"geartrain: url: {url!r}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [("nope",), ("ls", "--nope"), ("show",), ("register", "nope.py")])
def test_what_click_refuses_is_code_2(arguments):
    """Usage on standard error, nothing on standard output."""
    done = run_cli(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: geartrain" in done.stderr


def test_a_reader_of_the_output_that_goes_away_is_no_bug(valkey):
    """`geartrain ls | head -0`: no message, and code 1."""
    done = subprocess.run(
        ["bash", "-c", f'"{GEARTRAIN}" ls --json --url {valkey.url} | true; echo "${{PIPESTATUS[0]}}"'],
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout in ("0\n", "1\n")


def test_a_refused_login_is_a_failure_with_the_servers_words(valkey):
    """Code 1: the server is there."""
    done = run_cli("ls", "--url", valkey.url.replace("redis://", "redis://nobody:wrong@"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "invalid username-password" in done.stderr
    assert "wrong@" not in done.stderr


def break_ls(monkeypatch):
    """Make `geartrain ls` have a bug."""

    def broken(*_arguments, **_options):
        raise RuntimeError("something that we did not think of")

    command = app.get_command(None, "ls")
    monkeypatch.setattr(command, "callback", broken)


def test_a_bug_of_ours_is_one_line_and_its_traceback_a_file(monkeypatch, capsys):
    """Nobody sees a traceback of ours who did not ask for it."""
    break_ls(monkeypatch)
    assert entry.main(["ls"]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    found = re.search(r"RuntimeError: something that we did not think of \(the traceback is in (\S+); please", message)
    assert found is not None
    file = Path(found[1])
    assert "in broken" in file.read_text()
    file.unlink()


def test_a_bug_of_ours_shows_its_traceback_to_who_asks(monkeypatch, capsys):
    """GEARTRAIN_DEBUG=1."""
    break_ls(monkeypatch)
    monkeypatch.setenv("GEARTRAIN_DEBUG", "1")
    assert entry.main(["ls"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_an_interrupt_is_code_130(monkeypatch, capsys):
    """Ctrl-C is no error and says nothing."""

    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(app.get_command(None, "ls"), "callback", interrupted)
    assert entry.main(["ls"]) == 130
    assert "Traceback" not in capsys.readouterr().err
