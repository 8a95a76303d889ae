"""`loadmodule ... workers N`: the server starts workers, starts them again, and they end when it does."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from geartrain.server import EmbeddedServer
from geartrain.worker.membership import live
from support.hooks import information
from support.sanitizers import reports_folder, sanitized
from support.servers import require_module, required
from support.waiting import wait_for

pytestmark = pytest.mark.timeout(120)


def workers(link):
    """The process ids of the workers that have said to the server that they live."""
    return {member.pid for member in live(link).values()}


def count(link, name):
    """A counter of INFO geartrain."""
    return int(information(link, "geartrain")[f"geartrain_workers_{name}"])


def lives(pid):
    """Whether there is such a process; one that has ended and was not waited for is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def open_files(pid):
    """What a process has open: paths, and sockets by number."""
    return {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()}


def wait_workers(link, number):
    """Wait until so many workers work; their process ids."""
    return wait_for(lambda: (found := workers(link)) and len(found) == number and found, 60, f"{number} workers work")


def wait_gone(pids):
    """Wait until those processes have ended."""
    wait_for(lambda: not any(map(lives, pids)), 40, "the workers have ended")


def test_workers_come_and_a_killed_one_is_started_again(fresh_server, module_flavour, connect):
    """INFO counts them; the log has a line for each start and each end."""
    server = fresh_server(module_flavour, module={"workers": 2})
    link = connect(server)
    first = wait_workers(link, 2)
    assert (count(link, "wanted"), count(link, "running"), count(link, "restarted")) == (2, 2, 0)
    victim = min(first)
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(workers(link) - first) == 1, 60)
    assert count(link, "restarted") == 1
    log = server.log_path.read_text(errors="replace")
    assert f"(pid {victim}) has ended; it is started again in" in log
    assert len(re.findall(r"geartrain: worker \d+ started", log)) == 3
    second = {pid for pid in workers(link) if lives(pid)}
    server.stop()
    wait_gone(first | second)


def test_workers_have_the_environment_of_the_server(fresh_server, module_flavour, connect, monkeypatch):
    """PATH, HOME, the secret that code is signed with, the folder of wheels: whatever the server was started with."""
    monkeypatch.setenv("GEARTRAIN_TEST_WORD", "from the server")
    (pid,) = wait_workers(connect(fresh_server(module_flavour, module={"workers": 1})), 1)
    found = Path(f"/proc/{pid}/environ").read_text().split("\0")
    assert "GEARTRAIN_TEST_WORD=from the server" in found
    assert any(entry.startswith("PATH=") for entry in found)


def test_workers_end_with_a_server_that_is_killed(fresh_server, module_flavour, connect):
    """However it ended: they see the end of their socket."""
    server = fresh_server(module_flavour, module={"workers": 2})
    found = wait_workers(connect(server), 2)
    server.kill()
    wait_gone(found)


def test_workers_run_where_the_server_is_a_primary(fresh_server, module_flavour, connect, module_server):
    """They stop when it becomes a replica, and come again when it is a primary."""
    server = fresh_server(module_flavour, module={"workers": 1})
    link = connect(server)
    found = wait_workers(link, 1)
    link.call("REPLICAOF", "127.0.0.1", module_server.port)
    wait_gone(found)
    wait_for(lambda: count(link, "running") == 0)
    link.call("REPLICAOF", "NO", "ONE")
    wait_for(lambda: workers(link) - found, 60)


@pytest.mark.parametrize("password", ["simple", "p@ss:w/ö%rd#"])
def test_workers_know_the_password(fresh_server, module_flavour, connect, password):
    """`requirepass`, whatever is in it."""
    server = fresh_server(module_flavour, module={"workers": 1}, options={"requirepass": f'"{password}"'})
    wait_workers(connect(server), 1)


def test_workers_find_the_address_and_the_password_of_now(fresh_server, module_flavour, connect):
    """CONFIG SET of both while they run; what is not said of all addresses is the first one of `bind`."""
    server = fresh_server(module_flavour, module={"workers": 1})
    link = connect(server)
    (first,) = wait_workers(link, 1)
    link.call("CONFIG", "SET", "bind", "127.0.0.2 -::1", "requirepass", "new")
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: workers(link) - {first}, 60)


def test_workers_find_a_unix_socket(module_flavour, tmp_path, connect, tmp_path_factory):
    """Where there is no port; the path may have any characters."""
    require_module()
    place = tmp_path / "with space%"
    place.mkdir()
    binary = sanitized(required(module_flavour), tmp_path_factory.mktemp("binary"))
    with EmbeddedServer.start(
        binary=binary, unix_socket=place / "s", module=True, module_options={"workers": 1}
    ) as server:
        wait_workers(connect(server), 1)


def test_workers_take_an_address_that_they_are_told(fresh_server, module_flavour, connect):
    """`worker-url` goes before the server's own address."""
    other = fresh_server(module_flavour)
    fresh_server(module_flavour, module={"workers": 1, "worker-url": other.url})
    wait_workers(connect(other), 1)


def test_a_worker_inherits_nothing_of_the_server(fresh_server, module_flavour, connect):
    """No client's connection, no listening socket, no file."""
    if reports_folder() is not None:
        pytest.skip("sanitizers open files of their own")
    server = fresh_server(module_flavour, module={"workers": 1})
    link = connect(server)
    (pid,) = wait_workers(link, 1)
    shared = open_files(server.pid) & open_files(pid)
    assert not {name for name in shared if name.startswith(("socket:", str(server.directory)))} - {str(server.log_path)}


def test_a_worker_has_the_environment_of_the_server(module_flavour, fresh_server, connect, monkeypatch):
    """Secrets, proxies, where packages come from: what an administrator sets for the server."""
    monkeypatch.setenv("GEARTRAIN_SECRET", "hidden")
    monkeypatch.setenv("ALL_OTHERS", "too")
    link = connect(fresh_server(module_flavour, module={"workers": 1}))
    (pid,) = wait_workers(link, 1)
    variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
    assert {"GEARTRAIN_SECRET=hidden", "ALL_OTHERS=too"} <= set(variables)
