"""Whose permissions a function has, and which servers run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from geartrain import GearsBuilder, execute
from geartrain.wire import Endpoint, Link
from support.inserver import find_module, load_line, register, state, statistics
from support.waiting import wait_for

ID = "tests/KeysReader:k:*"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = sorted(Path.home().glob(".pyenv/versions/3.1[123].*/bin/python3"))


def script():
    """A function that writes elsewhere."""
    GearsBuilder().foreach(lambda r: execute("set", "copy", r["value"])).register("k:*", mode="sync")


def test_execute_has_the_permissions_of_the_user_who_registered(client):
    """Not those of the client whose write triggers it."""
    client.call("ACL", "SETUSER", "bob", "on", ">secret", "~copy", "+set")
    client.call("ACL", "SETUSER", "eve", "on", ">secret", "~k:*", "+set")
    register(client, script, user="bob")
    with Link(Endpoint(client.endpoint.url.replace("redis://", "redis://eve:secret@"))) as eve:
        assert eve.call("SET", "k:1", "v") == "OK"
    assert client.call("GET", "copy") == "v"
    client.call("ACL", "SETUSER", "bob", "resetkeys", "~other")
    client.call("SET", "k:1", "w")
    assert client.call("GET", "copy") == "v"
    wait_for(lambda: "NOPERM" in (statistics(client, ID).last_error or ""))


def test_a_user_who_is_gone_has_no_permissions(client):
    """The error says so; the statistics are written all the same."""
    client.call("ACL", "SETUSER", "bob", "on", "nopass", "~*", "+@all")
    register(client, script, user="bob")
    client.call("ACL", "DELUSER", "bob")
    assert client.call("SET", "k:1", "v") == "OK"
    wait_for(lambda: "is gone" in (statistics(client, ID).last_error or ""))


def test_a_function_is_stopped_at_maxmemory_as_a_client_is(client):
    """The write goes through; what the function adds does not."""
    register(
        client, lambda: GearsBuilder().foreach(lambda _: execute("append", "copy", "x")).register("k:*", mode="sync")
    )
    client.call("SET", "k:1", "v")
    client.call("CONFIG", "SET", "maxmemory", "1")
    client.call("DEL", "k:1")
    client.call("CONFIG", "SET", "maxmemory", "0")
    wait_for(lambda: "OOM" in (statistics(client, ID).last_error or ""))


def test_replicas_do_not_run_functions_and_do_when_they_are_promoted(fresh_server, flavour):
    """Effects come by replication; after a failover the new primary runs them."""
    primary = fresh_server(flavour, options=load_line())
    replica = fresh_server(flavour, options=load_line())
    with Link(Endpoint(primary.url)) as first, Link(Endpoint(replica.url)) as second:
        host, port = primary.url.removeprefix("redis://").split(":")
        second.call("REPLICAOF", host, port)
        wait_for(lambda: "master_link_status:up" in second.call("INFO", "replication"))
        register(
            first,
            lambda: (
                GearsBuilder()
                .foreach(lambda _: execute("incr", "n"))
                .register("k:*", mode="sync", onRegistered=lambda: execute("incr", "begun"))
            ),
        )
        first.call("SET", "k:1", "v")
        first.call("WAIT", 1, 5000)
        assert second.call("GET", "n") == "1"
        assert "geartrain_sync_interpreter_running:0" in second.call("INFO", "geartrain")
        second.call("REPLICAOF", "NO", "ONE")
        wait_for(lambda: state(second, ID) == "")
        second.call("SET", "k:1", "v")
        assert (second.call("GET", "n"), second.call("GET", "begun")) == ("2", "2")


def test_what_a_function_writes_is_in_the_append_only_file_with_its_cause(fresh_server, flavour):
    """A transaction of both; loading it does not run the function again."""
    server = fresh_server(flavour, aof="always", options=load_line())
    with Link(Endpoint(server.url)) as client:
        register(client, lambda: GearsBuilder().foreach(lambda _: execute("incr", "n")).register("k:*", mode="sync"))
        client.call("SET", "k:1", "v")
    files = b"".join(path.read_bytes() for path in server.directory.glob("appendonlydir/*.aof"))
    both = b"*3\r\n$3\r\nSET\r\n$3\r\nk:1\r\n$1\r\nv\r\n*2\r\n$4\r\nincr\r\n$1\r\nn\r\n*1\r\n$4\r\nEXEC\r\n"
    assert files.count(b"*1\r\n$5\r\nMULTI\r\n" + both) == 1
    server.kill()
    server.restart()
    with Link(Endpoint(server.url)) as client:
        assert client.call("GET", "n") == "1"
        wait_for(lambda: state(client, ID) == "")
        client.call("SET", "k:1", "v")
        assert client.call("GET", "n") == "2"


def test_code_that_is_not_signed_is_refused_where_there_is_a_secret(fresh_server, flavour, monkeypatch):
    """GEARTRAIN_SECRET in the server's environment."""
    monkeypatch.setenv("GEARTRAIN_SECRET", "a secret")
    server = fresh_server(flavour, options=load_line())
    with Link(Endpoint(server.url)) as client:
        monkeypatch.delenv("GEARTRAIN_SECRET")
        register(client, script, loads=False)
        wait_for(lambda: "is not signed" in state(client, ID))
        monkeypatch.setenv("GEARTRAIN_SECRET", "a secret")
        register(client, script)


@pytest.mark.parametrize("python", PYTHONS, ids=lambda path: path.parts[-3])
def test_every_supported_python_runs_functions(fresh_server, python, tmp_path):
    """One module for CPython 3.11, 3.12 and 3.13: each with this project's packages on its path."""
    pytest.importorskip("geartrain")
    environment = tmp_path / "venv"
    subprocess.run([python, "-m", "venv", "--without-pip", environment], check=True)
    here = [path for path in sys.path if path.endswith(("site-packages", "src"))]
    (packages,) = environment.glob("lib/python3.*/site-packages")
    (packages / "here.pth").write_text("\n".join(here))
    server = fresh_server(options=load_line(python=str(environment / "bin" / "python3")))
    with Link(Endpoint(server.url)) as client:
        version = subprocess.run(
            [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        assert f"geartrain_sync_python:{version}." in client.call("INFO", "geartrain")
        assert client.call("GEARTRAIN.HOOK", "LIST")[3] == "ok"
        register(client, script, loads=version == PYTHON)
        if version != PYTHON:
            # The tests' own Python pickled it; that it says so shows that the interpreter runs.
            wait_for(lambda: "registered with Python" in state(client, ID) or "hiredis" in state(client, ID))


@pytest.mark.parametrize(
    ("python", "says"),
    [
        ("/nowhere/python3", "cannot be executed"),
        ("/bin/true", "is no Python interpreter"),
        ("/bin/echo", "is no Python interpreter"),
    ],
)
def test_without_a_usable_python_there_is_no_sync_and_it_says_why(fresh_server, python, says):
    """The server starts; the list of hooks and the log have the reason."""
    server = fresh_server(options=load_line(python=python))
    with Link(Endpoint(server.url)) as client:
        assert says in client.call("GEARTRAIN.HOOK", "LIST")[3]
        assert client.call("SET", "k:1", "v") == "OK"
    assert says in server.log_path.read_text()


def test_the_interpreter_is_found_from_the_place_of_the_module(fresh_server, tmp_path):
    """Without the option: the virtual environment that the module lies in."""
    place = Path(sys.prefix) / "lib" / f"python{PYTHON}" / "site-packages"
    module = place / f"geartrain-test-{os.getpid()}.so"
    module.write_bytes(find_module().read_bytes())
    module.chmod(0o755)
    try:
        server = fresh_server(options={"loadmodule": str(module)})
        with Link(Endpoint(server.url)) as client:
            assert client.call("GEARTRAIN.HOOK", "LIST")[3] == "ok"
            register(client, script)
    finally:
        module.unlink()
