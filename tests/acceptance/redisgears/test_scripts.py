"""The scripts in examples/redisgears/, sent as redis-cli sends them: RG.PYEXECUTE and the file's text."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from geartrain.errors import CommandError
from geartrain.server import EmbeddedServer
from geartrain.wire import Endpoint, Link
from support.gears import connect, registrations, wait_until_served
from support.waiting import wait_for

SCRIPTS = Path(__file__).parents[3] / "examples" / "redisgears"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def run(link):
    """Sends a script by its name; the reply."""

    def send(name, *arguments):
        return link.call("RG.PYEXECUTE", SCRIPTS.joinpath(name).read_text(), *arguments)

    return send


def results(reply):
    """The results of a reply without errors."""
    found, errors = reply
    assert errors == []
    return found


def test_every_script_has_a_test():
    """The names of the scripts stand in this file."""
    here = Path(__file__).read_text()
    assert [path.name for path in SCRIPTS.glob("*.py") if f'"{path.name}"' not in here] == []


def test_words_are_counted(link, run):
    """Each word is a record with its number; records come as text."""
    link.pipeline([("SET", "sentence:1", "the cat and the dog"), ("SET", "sentence:2", "the end"), ("SET", "x", "not")])
    assert sorted(results(run("word_count.py"))) == [
        "{'key': 'and', 'value': 1}",
        "{'key': 'cat', 'value': 1}",
        "{'key': 'dog', 'value': 1}",
        "{'key': 'end', 'value': 1}",
        "{'key': 'the', 'value': 3}",
    ]


def test_sessions_expire_after_the_last_write(link, run):
    """The key has its hour when the write has its reply; others have none."""
    assert run("automatic_expire.py") == "OK"
    link.call("HSET", "session:ann", "page", 1)
    assert 3500 < link.call("TTL", "session:ann") <= 3600
    link.call("EXPIRE", "session:ann", 10)
    link.call("HSET", "session:ann", "page", 2)
    assert link.call("TTL", "session:ann") > 3500
    link.call("SET", "other", 1)
    assert link.call("TTL", "other") == -1


def test_entries_of_a_stream_are_logged(link, run):
    """Each entry is a hash of its id, and the stream does not keep it."""
    assert run("stream_logger.py") == "OK"
    entry = link.call("XADD", "measurements", "*", "room", "kitchen", "celsius", "21")
    wait_for(lambda: link.call("EXISTS", f"measurement:{entry}"))
    assert link.call("HGET", f"measurement:{entry}", "celsius") == "21"
    wait_for(lambda: link.call("XLEN", "measurements") == 0, message="the stream is trimmed")


def test_key_events_are_captured_and_worked_on(link, run):
    """Expired orders come out at the end of the second registration."""
    assert run("keyspace_notifications.py") == "OK"
    assert {item["desc"] for item in registrations(link)} == {"captures", "works"}
    link.pipeline([("SET", "order:1", "open", "PX", 50), ("SET", "order:2", "open")])
    assert link.call("KEYS", "order-events:*")
    wait_for(lambda: link.call("EXISTS", "order:1") == 0)
    assert wait_for(lambda: link.call("LRANGE", "orders-expired", 0, -1)) == ["order:1"]


def test_pi_is_estimated(run):
    """A hundred thousand throws, one number."""
    (estimate,) = results(run("monte_carlo_pi.py"))
    assert float(estimate) == pytest.approx(math.pi, abs=0.05)


def test_keys_are_deleted_by_their_prefix(link, run):
    """Only these are deleted, and their number is the result."""
    link.pipeline([("SET", f"draft:{number}", "x") for number in range(30)])
    link.call("SET", "final:1", "x")
    assert results(run("delete_by_prefix.py")) == ["30"]
    assert link.call("KEYS", "[df]*:*") == ["final:1"]


def test_a_missing_key_is_read_from_another_server(link, run, valkey):
    """Who asks waits, and gets the value; the next one finds it in the cache."""
    with Link(Endpoint(valkey.url)) as origin:
        origin.call("SET", "price:tea", "4")
        link.call("RG.CONFIGSET", "origin", valkey.url)
        assert run("read_through.py") == "OK"
        assert link.call("GET", "cached:price:tea") == "4"
        assert 0 < link.call("TTL", "cached:price:tea") <= 60
        origin.call("DEL", "price:tea")
        assert link.call("GET", "cached:price:tea") == "4"
        assert link.call("GET", "cached:price:coffee") is None
        assert link.call("GET", "price:tea") is None


def test_a_command_is_hooked(link, run):
    """HSET on the prefix writes one more field; elsewhere it is the server's own."""
    assert run("last_modified.py") == "OK"
    assert int(link.call("HSET", "person:ann", "city", "Rome")) == 2
    assert link.call("HKEYS", "person:ann") == ["city", "modified"]
    assert link.call("HSET", "street:1", "city", "Rome") == 1
    assert link.call("HKEYS", "street:1") == ["city"]


def test_a_trigger_counts_in_the_background_where_it_has_to(link, run):
    """The first call counts by a run() that it waits for; the second one answers what is known."""
    link.pipeline([("SET", f"student:{number}", "x") for number in range(7)])
    assert run("students.py") == "OK"
    assert link.call("RG.TRIGGER", "students") == ["7"]
    link.call("SET", "student:7", "x")
    assert link.call("RG.TRIGGER", "students") == ["7"]
    with pytest.raises(CommandError):
        link.call("RG.TRIGGER", "teachers")


def test_a_script_may_say_its_own_name(link, run):
    """A session with an id is there once, and is replaced where that is asked for."""
    assert run("stream_logger.py", "ID", "logger", "DESCRIPTION", "keeps measurements") == "OK"
    with pytest.raises(CommandError):
        run("stream_logger.py", "ID", "logger")
    assert run("stream_logger.py", "ID", "logger", "UPGRADE") == "OK"
    assert len(registrations(link)) == 1


@pytest.mark.servers("redis-8.2", "valkey-debian")
def test_a_configuration_of_redisgears_works_with_the_path_changed(flavour, fresh_server, gears_options):
    """Plugin, virtual environment, thread pools: what has no meaning here is accepted, and a worker is started."""
    server = fresh_server(flavour, options={"loadmodule": gears_options})
    assert isinstance(server, EmbeddedServer)
    with connect(server) as link:
        wait_until_served(link)
        link.call("SET", "x", 1)
        assert link.call("RG.PYEXECUTE", "GB().map(lambda x: x['key']).run('x')") == [["x"], []]
        assert link.call("RG.CONFIGGET", "MaxExecutions", "ExecutionThreads") == [50, 4]
        log = server.log_path.read_text(errors="replace")
    assert "CreateVenv" in log


@pytest.fixture
def gears_options():
    """A loadmodule line as RedisGears 1.2 has it, but for the path."""
    from geartrain.server import find_module
    from support.servers import require_module

    require_module()
    return (
        f"{find_module()} Plugin /opt/redis/lib/modules/gears_python.so CreateVenv 1"
        " PythonInstallationDir /var/opt/redis/modules/rg DownloadDeps 0 maxexecutions 50 EXECUTIONTHREADS 4"
        " PythonInstallReqMaxIdleTime 600000 SendMsgRetries 3 ProfileExecutions 0"
    )
