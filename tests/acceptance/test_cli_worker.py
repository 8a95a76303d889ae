"""`geartrain worker` as deployments have it."""

from __future__ import annotations

import signal
import textwrap

import pytest

from geartrain.client import Client
from geartrain.server.configuration import free_port
from geartrain.wire import Endpoint, Link
from geartrain.worker.membership import live
from support.processes import run_cli
from support.waiting import wait_for


@pytest.fixture
def link(valkey):
    """A connection to the server."""
    with Link(Endpoint(valkey.url)) as link:
        yield link


def submit(url, text, session="orders"):
    """Register a script's registrations."""
    with Client(url) as client:
        client.execute(textwrap.dedent(text), session=session, path=f"{session}.py")


def test_workers_execute_what_is_registered(cli, valkey, link):
    """Two processes, one server: `ready` once the registrations are live; SIGTERM ends it with 0 and cleans up."""
    submit(
        valkey.url, "GB('StreamReader').foreach(lambda x: execute('incr', 'count')).register('orders:*', name='count')"
    )
    process = cli("worker", "--url", valkey.url, "--processes", "2")
    process.wait_for_line("^working for redis://127.0.0.1:\\d+ with 2 processes$")
    process.wait_for_line("^ready$")
    assert len(live(link)) == 2
    link.pipeline([("XADD", f"orders:{number % 7}", "*", "n", number) for number in range(70)])
    wait_for(lambda: link.call("GET", "count") == "70")
    assert process.terminate() == 0
    assert live(link) == {}
    assert [key for key in link.call("KEYS", "*") if ":lease:" in key] == []


def test_a_registration_that_comes_later_is_taken_up(cli, valkey, link):
    """Within a second, without a restart."""
    process = cli("worker", env={"GEARTRAIN_URL": valkey.url})
    process.wait_for_line("^ready$")
    submit(
        valkey.url, "GB('StreamReader').foreach(lambda x: execute('incr', 'count')).register('orders', name='count')"
    )
    link.call("XADD", "orders", "*", "n", "1")
    wait_for(lambda: link.call("GET", "count") == "1")
    process.send(signal.SIGINT)
    assert process.wait() == 0


def test_a_password_is_shown_nowhere(cli, fresh_server):
    """Neither in what is printed nor on a command line."""
    server = fresh_server(options={"requirepass": "xyzzy123"})
    process = cli("worker", "--url", server.url)
    process.wait_for_line("^ready$")
    assert process.terminate() == 0
    assert "xyzzy123" not in process.stdout + process.stderr
    assert "***" in process.stdout


def test_a_server_that_is_not_there_is_exit_code_3():
    """At the start it is a wrong address; later on it would be waited for."""
    done = run_cli("worker", "--url", f"redis://127.0.0.1:{free_port()}")
    assert done.returncode == 3
    assert "no connection to redis://127.0.0.1:" in done.stderr


def test_workers_wait_for_a_server_that_goes_away(cli, fresh_server):
    """No exit, no restart: they go on when it is back."""
    server = fresh_server(aof="always")
    submit(
        server.url, "GB('StreamReader').foreach(lambda x: execute('incr', 'count')).register('orders', name='count')"
    )
    process = cli("worker", "--url", server.url)
    process.wait_for_line("^ready$")
    server.kill()
    process.wait_for_line("the server is away")
    server.restart()
    with Link(Endpoint(server.url)) as link:
        link.call("XADD", "orders", "*", "n", "1")
        wait_for(lambda: link.call("GET", "count") == "1", timeout=20)
    assert process.terminate() == 0
    assert "started again" not in process.stderr


@pytest.mark.parametrize(
    ("option", "value"), [("--processes", "0"), ("--threads", "0"), ("--lease-ttl", "0"), ("--history", "-1")]
)
def test_settings_that_make_no_sense_are_wrong_use(option, value):
    """Exit code 2; the message names the option and what is allowed."""
    done = run_cli("worker", option, value)
    assert done.returncode == 2
    assert option in done.stderr


def test_settings_reach_the_worker(cli, valkey, link):
    """The history keeps as many executions as the option says."""
    submit(valkey.url, "GB('StreamReader').foreach(lambda x: x).register('orders', name='count')")
    process = cli("worker", "--url", valkey.url, "--history", "3", "--threads", "1")
    process.wait_for_line("^ready$")
    link.pipeline([("XADD", "orders", "*", "n", number) for number in range(20)])
    with Client(valkey.url) as client:
        wait_for(lambda: client.show("count").info.succeeded == 20)
        assert len(client.show("count").history) == 3
    assert process.terminate() == 0
