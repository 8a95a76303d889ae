"""The module's arguments: Geartrain's own are checked, RedisGears' never fail the load; GEARTRAIN.CONFIG tells them."""

from __future__ import annotations

import sys

import pytest

from geartrain.server import EmbeddedServer, find_module
from support.hooks import information
from support.sanitizers import sanitized
from support.servers import require_module, required

GEARS = (
    "Plugin /var/opt/redislabs/lib/modules/gears_python.so CreateVenv 1 PythonInstallationDir /var/opt/redislabs/ "
    "DownloadDeps 0 MAXEXECUTIONS 17 maxexecutionsperregistration 3 ProfileExecutions 1 PythonAttemptTraceback 0 "
    "ExecutionThreads 5 ExecutionMaxIdleTime 6000 PythonInstallReqMaxIdleTime 7000 SendMsgRetries 9 "
    "DependenciesUrl http://localhost/a?b=c DependenciesSha256 abc"
)


@pytest.fixture
def load(module_flavour, tmp_path_factory, connect):
    """`load(arguments)`: a server whose `loadmodule` line says so; (server, connection)."""
    servers = []

    def start(arguments):
        require_module()
        binary = sanitized(required(module_flavour), tmp_path_factory.mktemp("binary"))
        server = EmbeddedServer.start(
            binary=binary, module=False, options={"loadmodule": f"{find_module()} {arguments}"}
        )
        servers.append(server)
        return server, connect(server)

    yield start
    for server in servers:
        server.stop()


def config(link):
    """What GEARTRAIN.CONFIG answers."""
    flat = link.call("GEARTRAIN.CONFIG")
    return dict(zip(flat[::2], flat[1::2], strict=True))


def log(server):
    """The lines of the module in the server's log."""
    return [line for line in server.log_path.read_text(errors="replace").splitlines() if "geartrain: " in line]


def test_without_arguments_the_dialect_is_geartrains(load):
    """And no worker is kept."""
    _, link = load("")
    assert config(link) == {"dialect": "geartrain"}
    assert information(link, "geartrain")["geartrain_dialect"] == "geartrain"
    assert information(link, "geartrain")["geartrain_workers_wanted"] == "0"


def test_a_configuration_of_redisgears_is_taken_as_it_is(load):
    """In any letter case; told by the documented names; what is ignored has a line in the log, and so has Plugin."""
    server, link = load(f"workers 0 {GEARS}")
    assert config(link) == {
        "dialect": "redisgears-1.2",
        "MaxExecutions": "17",
        "MaxExecutionsPerRegistration": "3",
        "ProfileExecutions": "1",
        "PythonAttemptTraceback": "0",
        "ExecutionThreads": "5",
        "ExecutionMaxIdleTime": "6000",
        "PythonInstallReqMaxIdleTime": "7000",
        "SendMsgRetries": "9",
        "Plugin": "/var/opt/redislabs/lib/modules/gears_python.so",
        "PythonInstallationDir": "/var/opt/redislabs/",
        "CreateVenv": "1",
        "DownloadDeps": "0",
        "DependenciesUrl": "http://localhost/a?b=c",
        "DependenciesSha256": "abc",
    }
    lines = log(server)
    ignored = ("CreateVenv", "PythonInstallationDir", "DownloadDeps", "SendMsgRetries", "DependenciesUrl")
    for name in (*ignored, "DependenciesSha256"):
        assert any(f"option {name} of RedisGears is ignored: it means nothing here" in line for line in lines)
    assert any("option Plugin of RedisGears selects the dialect redisgears-1.2" in line for line in lines)
    assert not any("Plugin of RedisGears is ignored" in line for line in lines)
    assert not any("MaxExecutions" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "dialect", "workers"),
    [
        ("Plugin gears_python", "redisgears-1.2", "1"),
        ("DIALECT RedisGears-1.2", "redisgears-1.2", "1"),
        ("dialect redisgears-1.2 workers 2", "redisgears-1.2", "2"),
        ("workers 0 dialect redisgears-1.2", "redisgears-1.2", "0"),
        ("dialect geartrain Plugin x", "geartrain", "0"),
        ("Plugin x dialect geartrain", "geartrain", "0"),
        ("MaxExecutions 5", "geartrain", "0"),
    ],
)
def test_plugin_means_the_dialect_unless_it_is_said(load, arguments, dialect, workers):
    """With RedisGears' dialect a worker is kept unless `workers` says how many. The log says which of both it was."""
    server, link = load(f"{arguments} python {sys.executable}")
    assert config(link)["dialect"] == dialect
    assert information(link, "geartrain")["geartrain_workers_wanted"] == workers
    said = "is ignored: option dialect is given" if "dialect geartrain" in arguments else "selects the dialect"
    assert any(f"option Plugin of RedisGears {said}" in line for line in log(server)) == ("Plugin" in arguments)


@pytest.mark.parametrize(
    ("arguments", "line", "kept"),
    [
        ("MaxExecutions many", "option MaxExecutions is 'many', which is no number: its default is used", {}),
        ("MaxExecutions -1", "option MaxExecutions is '-1', which is no number", {}),
        ("MaxExecutions", "option MaxExecutions has no value and is ignored", {}),
        ("MaxExecutions CreateVenv 1", "option MaxExecutions has no value", {"CreateVenv": "1"}),
        ("JvmOptions -Xmx100m MaxExecutions 2", "option JvmOptions is not known here", {"MaxExecutions": "2"}),
        ("V8Flag MaxExecutions 2", "option V8Flag is not known here", {"MaxExecutions": "2"}),
        ("V8PluginLibPath", "option V8PluginLibPath is not known here", {}),
        (f"{'x' * 300} 1", "is not known here", {}),
        ("MaxExecutions 1 MaxExecutions 2", "", {"MaxExecutions": "2"}),
    ],
)
def test_no_word_of_redisgears_fails_the_load(load, arguments, line, kept):
    """What cannot be read is left out, with a line in the log; what follows is read."""
    server, link = load(f"workers 0 dialect redisgears-1.2 {arguments}")
    assert config(link) == {"dialect": "redisgears-1.2", **kept}
    assert any(line in entry for entry in log(server)) or not line


def test_a_worker_that_cannot_be_started_by_default_is_no_obstacle(load):
    """Nobody asked for workers: the log says why there are none."""
    server, link = load("Plugin x python /nowhere/python")
    assert config(link)["dialect"] == "redisgears-1.2"
    assert any("no workers: /nowhere/python cannot be executed" in line for line in log(server))


def test_config_takes_no_arguments_and_is_for_administrators(db, raw):
    """RESP3 gets a map."""
    assert "wrong number" in str(raw().call("GEARTRAIN.CONFIG", "x"))
    assert raw(3).call("GEARTRAIN.CONFIG") == {b"dialect": b"geartrain"}
    db.call("ACL", "SETUSER", "u", "on", "nopass", "+@all", "-@admin")
    caller = raw()
    caller.call("AUTH", "u", "x")
    assert "NOPERM" in str(caller.call("GEARTRAIN.CONFIG"))
