"""Every script in examples/, executed as its own comment says."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest

from geartrain.client import Client
from geartrain.wire import Endpoint, Link
from support.processes import CapturedProcess
from support.servers import require_module
from support.waiting import wait_for

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def link(valkey):
    """A connection to the server that the examples run on."""
    with Link(Endpoint(valkey.url)) as link:
        yield link


@pytest.fixture
def example(cli, valkey):
    """Runs an example with `geartrain run` until the end of the test."""
    started = []

    def run(name):
        process = cli("run", EXAMPLES / name, "--url", valkey.url)
        started.append(process)
        process.wait_for_line("^ready$")

    yield run
    for process in started:
        assert process.terminate() == 0, str(process)


def test_the_first_stream_keeps_every_entry_under_its_id(example, link):
    """The specification's stream example."""
    example("first_stream.py")
    entry = link.call("XADD", "s1", "*", "temperature", "21")
    kept = wait_for(lambda: link.call("GET", entry))
    assert kept == str({"streamId": entry, "temperature": "21"})


def test_deny_writes_empties_the_database_and_comes_to_rest(example, link):
    """The specification's first example deletes what is touched, and then nothing happens any more."""
    example("deny_writes.py")
    link.pipeline([("SET", f"key:{number}", "1") for number in range(20)])
    wait_for(lambda: not [key for key in link.call("KEYS", "*") if not key.startswith("geartrain:")])

    def events():
        link.call("CONFIG", "RESETSTAT")
        time.sleep(0.3)  # a span in which nothing is to happen: there is nothing to wait for
        return "cmdstat_del" in link.call("INFO", "commandstats")

    wait_for(lambda: not events())


def test_batches_execute_once_for_many_records(example, link):
    """100 readings that are there at once are one execution, and each stream has its own."""
    example("batches.py")
    for hall, top in (("hall", 30), ("yard", 12)):
        link.pipeline([("XADD", f"sensor:{hall}", "*", "celsius", str(top - number / 10)) for number in range(100)])
    wait_for(lambda: link.call("HGETALL", "hottest") and link.call("HLEN", "hottest") == 2)
    assert float(link.call("HGET", "hottest", "sensor:hall")) == 30
    assert float(link.call("HGET", "hottest", "sensor:yard")) == 12
    assert int(wait_for(lambda: link.call("HGET", "executions", "sensor:hall"))) <= 3


def test_async_steps_run_together_and_keep_their_order(example, link, valkey):
    """20 waits of 0.1 s take much less than 2 s, and the results are in the order of the records."""
    example("async_steps.py")
    link.pipeline([("MULTI",), *(("XADD", "visits", "*", "ip", f"10.0.{n}.1") for n in range(20)), ("EXEC",)])
    wait_for(lambda: link.call("LLEN", "places") == 20)
    assert link.call("LRANGE", "places", 0, -1) == [f"network 10.0.{n}" for n in range(20)]
    with Client(valkey.url) as client:
        (info,) = wait_for(lambda: [info for info in client.registrations() if info.records == 20])
        spent = info.average_duration_ms * info.triggered
    assert 100 <= spent < 1000


def test_on_registered_makes_a_connection_in_the_worker(example, link):
    """The step finds what onRegistered put in a global."""
    example("on_registered.py")
    for word in ("zug", "gang", "nichts"):
        link.call("XADD", "words", "*", "text", word)
    wait_for(lambda: link.call("HLEN", "english") == 3)
    assert [link.call("HGET", "english", word) for word in ("zug", "gang", "nichts")] == ["train", "gear", "?"]


def test_failure_policies_do_what_their_names_say(example, link, valkey):
    """Retry goes on until it works, a limit aborts, continue passes over, abort stops at once."""
    example("failure_policies.py")
    with Client(valkey.url) as client:

        def info(stream):
            return next(info for info in client.registrations() if info.pattern == stream)

        for stream in ("retried", "limited", "skipped", "aborted"):
            link.call("XADD", stream, "*", "needs", "door")
        wait_for(lambda: info("limited").status == "aborted" and info("aborted").status == "aborted")
        # Statistics are written twice a second, the status at once.
        wait_for(lambda: (info("limited").retried, info("limited").failed) == (2, 1))
        wait_for(lambda: (info("aborted").retried, info("aborted").failed) == (0, 1))
        wait_for(lambda: info("retried").retried >= 2)
        assert info("retried").status == "active"
        link.call("SET", "door", "open")
        link.call("XADD", "skipped", "*", "needs", "door")
        wait_for(lambda: link.call("GET", "done:retried") == "1" and link.call("GET", "done:skipped") == "1")
        wait_for(lambda: (info("skipped").failed, info("skipped").succeeded) == (1, 1))
        assert "there is no door yet" in info("skipped").last_error
        assert link.call("EXISTS", "done:limited", "done:aborted") == 0


@pytest.fixture
def demo():
    """Runs `make demo`, shortened; it starts its own server and ends by itself."""

    def run(**env):
        process = CapturedProcess(
            sys.executable, EXAMPLES / "shop" / "demo.py", env={"GEARTRAIN_DEMO_SECONDS": "5", **env}
        )
        try:
            assert process.wait(80) == 0, str(process)
        finally:
            process.kill()
        assert "WRONG" not in process.stdout
        assert "gave no address" in process.stdout
        return process.stdout

    return run


def test_the_demo_ends_by_itself_with_the_right_numbers(demo):
    """The next read sees what a sync function did, and a worker that is stopped for a while loses no key event."""
    require_module()
    shown = demo()
    assert shown.count("\n  ok ") == 12
    waiting = re.search(r"a worker is started again: (\d+) key events wait", shown)
    assert waiting is not None
    assert int(waiting[1]) > 0
    assert "workers and server ended with exit codes 0, 0, 0" in shown


def test_the_demo_works_without_the_server_module(demo, tmp_path):
    """It says what is missing, and leaves out what needs it."""
    shown = demo(GEARTRAIN_MODULE=str(tmp_path / "missing.so"))
    assert "No mode='sync' here: GEARTRAIN_MODULE names" in shown
    assert shown.count("\n  ok ") == 8
    assert "workers and server ended with exit codes 0, 0" in shown


@pytest.mark.timeout(180)
def test_the_demo_of_a_cluster_ends_by_itself_with_the_right_numbers():
    """Every order has its effects, though a primary was killed, a shard was added and slots moved."""
    require_module()
    process = CapturedProcess(sys.executable, EXAMPLES / "cluster" / "demo.py", env={"GEARTRAIN_DEMO_SECONDS": "1"})
    try:
        assert process.wait(150) == 0, str(process)
    finally:
        process.kill()
    assert process.stdout.count("\n  ok ") == 3
    assert re.search(r"primary \d+ is killed", process.stdout)
    assert re.search(r"30\d slots move to it, key by key", process.stdout)
    assert "3000 slots move to it by the server's own migration" in process.stdout
    assert "the workers ended with exit code 0" in process.stdout


def test_the_shop_runs_alone(example, link):
    """What the comment at the top of shop.py says."""
    example("shop/shop.py")
    order = {"number": 1, "customer": "ann", "item": "tea", "price": 490, "address": "Mill Lane 3"}
    link.call("XADD", "orders:web", "*", *[word for pair in order.items() for word in pair])
    wait_for(lambda: link.call("GET", "total:ann") == "490")


def test_every_example_is_in_the_list_and_tested():
    """A new script is not forgotten, neither in the README nor here."""
    listed = (EXAMPLES / "README.md").read_text()
    source = Path(__file__).read_text()
    for script in EXAMPLES.glob("*.py"):
        assert script.name in listed
        assert re.search(rf'example\("{script.name}"\)', source)
