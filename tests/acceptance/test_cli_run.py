"""`geartrain run` and `geartrain serve` as users have them: processes, signals, and what is left behind (nothing)."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import termios
import textwrap
import threading
from pathlib import Path

import pytest

from geartrain.client import Client
from geartrain.config import WorkerSettings
from geartrain.errors import ServerUnavailable
from geartrain.server.configuration import free_port
from geartrain.wire import Endpoint, Link
from support.processes import GEARTRAIN, environment, run_cli
from support.servers import require_module
from support.waiting import wait_for

COUNTING = (
    "GearsBuilder('StreamReader').foreach(lambda x: execute('incr', 'count')).register('orders:*', name='count')\n"
)

FAILING = """
def work(x):
    raise ValueError('no ' + x['what'])

GearsBuilder('StreamReader').foreach(work).register('orders', name='failing', onFailedPolicy='abort')
"""


@pytest.fixture
def script(tmp_path):
    """Makes a script."""

    def make(text, name="shop.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return make


def server_url(process):
    """The address of the embedded server that the process has started."""
    return process.wait_for_line(r"^listening on (redis://127\.0\.0\.1:\d+)$")[1]


def worker_pid(process):
    """The pid of its first worker."""
    return int(process.wait_for_line(r"^worker 1 started \(pid (\d+)\)$")[1])


def family(pid):
    """The process and all that it has started, now, by their pids."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, parent = text.rpartition(")")[2].split()[:2]
        if state != "Z":
            parents[int(stat.parent.name)] = int(parent)
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found & parents.keys()


def alive(pids):
    """Those of the processes that exist and are no zombies."""
    return {pid for pid in pids if family(pid)}


def test_run_starts_a_server_registers_and_works(cli, script):
    """The address, what was registered, `ready`, and then entries have their effect; SIGTERM ends it with 0."""
    process = cli("run", script(COUNTING))
    url = server_url(process)
    process.wait_for_line("^ready$")
    with Link(Endpoint(url)) as link:
        link.pipeline([("XADD", "orders:1", "*", "n", number) for number in range(50)])
        wait_for(lambda: link.call("GET", "count") == "50")
    everybody = family(process.pid)
    assert process.terminate() == 0
    wait_for(lambda: not alive(everybody), message="nothing is left behind")
    assert "session shop: 1 added" in process.stdout
    assert "temporary" in process.stderr
    assert "the server's data are gone" in process.stderr
    with pytest.raises(ServerUnavailable), Link(Endpoint(url)) as link:
        link.call("PING")


def test_run_with_a_directory_keeps_the_data_and_goes_on_with_them(cli, script, tmp_path):
    """Counts, registrations and offsets of the first run are there in the second one."""
    path, data, port = script(COUNTING), tmp_path / "data", str(free_port())
    for expected in ("3", "6"):
        process = cli("run", path, "--dir", data, "--port", port)
        assert server_url(process) == f"redis://127.0.0.1:{port}"
        process.wait_for_line("^ready$")
        with Link(Endpoint(f"redis://127.0.0.1:{port}")) as link:
            link.pipeline([("XADD", "orders:1", "*", "n", number) for number in range(3)])
            wait_for(lambda link=link, expected=expected: link.call("GET", "count") == expected)
        assert process.terminate() == 0
        assert f"data and registrations are kept in {data}" in process.stderr
    assert "session shop: 1 upgraded" in process.stdout


def test_run_with_a_url_leaves_the_registrations_and_says_so(cli, script, valkey):
    """As after `register`; the closing line says how to remove them."""
    process = cli("run", script(COUNTING), "--url", valkey.url, "--session", "orders")
    process.wait_for_line("^ready$")
    process.send(signal.SIGINT)
    assert process.wait() == 0
    assert "listening" not in process.stdout
    assert f"the registrations stay on {valkey.url}" in process.stderr
    assert "`geartrain unregister --session orders` removes them" in process.stderr
    with Client(valkey.url) as client:
        assert [info.session for info in client.registrations()] == ["orders"]


def test_run_takes_the_url_of_the_environment_unless_told_otherwise(cli, script, valkey):
    """GEARTRAIN_URL is the default; --port asks for the embedded server all the same."""
    path, env = script(COUNTING), {"GEARTRAIN_URL": valkey.url}
    process = cli("run", path, env=env)
    process.wait_for_line("^ready$")
    with Client(valkey.url) as client:
        assert [info.id for info in client.registrations()] == ["count"]
    assert process.terminate() == 0
    port = free_port()
    process = cli("run", path, "--port", str(port), env=env)
    assert server_url(process) == f"redis://127.0.0.1:{port}"


@pytest.mark.parametrize("option", [("--port", "7000"), ("--dir", "data"), ("--no-module",)])
def test_options_of_the_embedded_server_are_wrong_use_with_a_url(script, option):
    """Exit code 2, and a message that names them."""
    done = run_cli("run", script(COUNTING), "--url", "redis://127.0.0.1:1", *option)
    assert done.returncode == 2
    assert "--port, --dir and --no-module" in done.stderr


def test_a_port_that_is_taken_is_said(cli, script, valkey):
    """Exit code 1, no traceback of ours."""
    done = run_cli("run", script(COUNTING), "--port", str(valkey.port))
    assert done.returncode == 1
    assert f"port {valkey.port} is in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_of_the_script_ends_the_run_with_the_users_traceback_only(script):
    """Exit code 1; no frame of ours; the server that was started is gone."""
    done = run_cli("run", script("import json\njson.loads('{')\n"))
    assert done.returncode == 1
    assert "shop.py" in done.stderr
    assert "JSONDecodeError" in done.stderr
    assert "src/geartrain" not in done.stderr
    url = re.search(r"redis://\S+", done.stdout)[0]
    with pytest.raises(ServerUnavailable), Link(Endpoint(url)) as link:
        link.call("PING")


def test_a_script_that_only_runs_prints_its_results_and_ends(script):
    """Nothing is registered, so there is nothing to wait for."""
    done = run_cli("run", script("GB('PythonReader').map(str).run(lambda: iter(range(3)))"))
    assert done.returncode == 0
    assert done.stdout.splitlines()[1:] == ["0", "1", "2"]
    assert "registers nothing" in done.stderr


def test_a_url_without_a_server_is_exit_code_3(script):
    """The server is not reachable."""
    done = run_cli("run", script(COUNTING), "--url", f"redis://127.0.0.1:{free_port()}")
    assert done.returncode == 3


def test_a_failure_is_shown_with_the_users_traceback_and_the_status(cli, script):
    """Where the user looks: in the lines of `run`."""
    process = cli("run", script(FAILING))
    url = server_url(process)
    process.wait_for_line("^ready$")
    with Link(Endpoint(url)) as link:
        link.call("XADD", "orders", "*", "what", "luck")
    process.wait_for_line(r"^failing: active -> aborted; `geartrain resume failing` starts it again$")
    process.wait_for_line(
        r"failing on orders aborted: step 1, foreach\(work at shop\.py:2\) raised ValueError: no luck on"
    )
    process.wait_for_line(r"^ValueError: no luck$")
    assert '/shop.py", line 3, in work\n' in process.stderr
    assert "src/geartrain" not in process.stderr
    assert process.terminate() == 0


def test_what_steps_print_and_log_comes_through(cli, script):
    """`print` goes to standard output at once, `log` to standard error with the worker's name."""
    process = cli(
        "run", script("GB('StreamReader').foreach(lambda x: (print('saw', x['n']), log('logged'))).register('s')")
    )
    url = server_url(process)
    process.wait_for_line("^ready$")
    with Link(Endpoint(url)) as link:
        link.call("XADD", "s", "*", "n", "7")
    process.wait_for_line("^saw 7$")
    process.wait_for_line(r"INFO \S+: logged$")


def test_a_worker_that_is_killed_is_started_again_and_the_work_goes_on(cli, script):
    """The line says who died of what, and under which pid it came back; it need not wait for its own leases."""
    process = cli("run", script(COUNTING))
    url = server_url(process)
    process.wait_for_line("^ready$")
    first = worker_pid(process)
    with Link(Endpoint(url)) as link:
        link.call("XADD", "orders:1", "*", "n", "1")
        wait_for(lambda: link.call("GET", "count") == "1")
        os.kill(first, signal.SIGKILL)
        process.wait_for_line(rf"worker 1 \(pid {first}\) was killed by signal 9 \(SIGKILL\)")
        second = int(process.wait_for_line(r"worker 1 started again as pid (\d+)$")[1])
        assert second != first
        link.call("XADD", "orders:1", "*", "n", "2")
        wait_for(lambda: link.call("GET", "count") >= "2", timeout=WorkerSettings().lease_ttl / 2)
    assert process.terminate() == 0


def test_nothing_outlives_a_run_that_is_killed(cli, script):
    """SIGKILL of `geartrain run`: its workers and its server end by themselves."""
    process = cli("run", script(COUNTING), "--processes", "2")
    url = server_url(process)
    process.wait_for_line("^ready$")
    everybody = family(process.pid)
    assert len(everybody) >= 5, "run, two workers, the server and its guard"
    process.send(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not alive(everybody), timeout=20, message="all processes have ended")
    with pytest.raises(ServerUnavailable), Link(Endpoint(url)) as link:
        link.call("PING")


def test_a_second_signal_does_not_wait_for_what_runs(cli, script):
    """Ctrl-C twice: an execution that takes a minute is not waited for."""
    text = "import time\nGB('StreamReader').foreach(lambda x: (print('begun'), time.sleep(60))).register('s')\n"
    process = cli("run", script(text))
    url = server_url(process)
    process.wait_for_line("^ready$")
    with Link(Endpoint(url)) as link:
        link.call("XADD", "s", "*", "n", "1")
    process.wait_for_line("^begun$")
    process.send(signal.SIGINT)
    process.wait_for_line("stopping: running executions finish")
    process.send(signal.SIGINT)
    assert process.wait(10) == 0
    assert "killed" in process.stderr


def test_a_stop_waits_for_the_execution_that_runs(cli, script):
    """SIGTERM in the middle of a batch: the batch ends, and its offset is committed."""
    text = """
    import time
    def slowly(x):
        print('begun')
        time.sleep(1)
        execute('incr', 'ended')
    GB('StreamReader').foreach(slowly).register('s', name='slow')
    """
    server = cli("serve")
    url = server_url(server)
    process = cli("run", script(text), "--url", url)
    process.wait_for_line("^ready$")
    with Link(Endpoint(url)) as link:
        entry = link.call("XADD", "s", "*", "n", "1")
        process.wait_for_line("^begun$")
        assert process.terminate() == 0
        assert link.call("GET", "ended") == "1"
        (group,) = link.call("XINFO", "GROUPS", "s")
        assert group[group.index("last-delivered-id") + 1] == entry


def test_a_server_that_dies_under_run_is_said(cli, script):
    """The embedded server is a part of the run: without it there is nothing to do."""
    process = cli("run", script(COUNTING))
    url = server_url(process)
    process.wait_for_line("^ready$")
    with Link(Endpoint(url)) as link:
        pid = int(re.search(r"process_id:(\d+)", link.call("INFO", "server"))[1])
    os.kill(pid, signal.SIGKILL)
    assert process.wait() == 1
    assert "the embedded server has ended by itself" in process.stderr


def test_serve_prints_its_url_and_ends_at_a_signal(cli, tmp_path):
    """Nothing but a server; what to export stands beside it."""
    process = cli("serve", "--dir", tmp_path / "data")
    url = server_url(process)
    process.wait_for_line("^ready$")
    assert f"export GEARTRAIN_URL={url}" in process.stderr
    with Link(Endpoint(url)) as link:
        link.call("SET", "key", "kept")
    process.send(signal.SIGINT)
    assert process.wait() == 0
    process = cli("serve", "--dir", tmp_path / "data")
    with Link(Endpoint(server_url(process))) as link:
        assert link.call("GET", "key") == "kept"
    assert process.terminate() == 0


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_a_port_that_is_none_is_wrong_use(port):
    """Exit code 2."""
    done = run_cli("serve", "--port", port)
    assert done.returncode == 2
    assert "--port" in done.stderr


def test_a_terminal_shows_a_table_that_lives(script, valkey):
    """Counters of every registration, the last error below, and `ready` above; Ctrl-C ends it with 0."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 120))
    process = subprocess.Popen(
        [GEARTRAIN, "run", script(FAILING), "--url", valkey.url],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment({"TERM": "xterm"}),
        start_new_session=True,
    )
    os.close(theirs)
    screen = bytearray()
    reader = threading.Thread(target=drain, args=(ours, screen), daemon=True)
    reader.start()
    try:
        wait_for(lambda: b"ready\r\n" in screen, timeout=20)
        with Link(Endpoint(valkey.url)) as link:
            link.call("XADD", "orders", "*", "what", "luck")
        wait_for(lambda: re.search(rb"failing +\S*aborted", screen), timeout=20)
        wait_for(lambda: b"RATE/s" in screen and b"raised ValueError: no luck" in screen)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        reader.join(5)
        os.close(ours)
        print(screen.decode(errors="replace"))
    assert b"the registrations stay on" in screen


def drain(terminal, screen):
    """Keep what a program writes on a terminal."""
    with contextlib.suppress(OSError):  # the program has ended
        while data := os.read(terminal, 4096):
            screen += data


@pytest.mark.parametrize("command", ["run", "serve"])
def test_the_embedded_server_has_the_module_unless_it_is_told_not_to(cli, script, command):
    """A line says so in either case."""
    require_module()
    arguments = [command, script(COUNTING)] if command == "run" else [command]
    with_it, without = cli(*arguments), cli(*arguments, "--no-module")
    for process, line, present in (
        (with_it, "the server module is loaded", True),
        (without, "without the server module: --no-module", False),
    ):
        url = server_url(process)
        process.wait_for_line(f"^geartrain: {line}$")
        with Link(Endpoint(url)) as link:
            assert ("name=geartrain," in link.call("INFO", "modules")) == present
        process.wait_for_line("^ready$")
        assert process.terminate() == 0


def test_without_an_installed_module_the_server_runs_and_says_why(cli):
    """One line, and everything else works."""
    process = cli("serve", env={"GEARTRAIN_MODULE": "/nowhere/geartrain.so"})
    process.wait_for_line("^ready$")
    process.wait_for_line("^geartrain: without the server module: GEARTRAIN_MODULE names '/nowhere/geartrain.so'")
    assert process.terminate() == 0
