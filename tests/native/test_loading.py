"""The server module in servers: it loads, and in a run with sanitizers it is watched by them."""

from __future__ import annotations

from pathlib import Path

import pytest

from geartrain.errors import CommandError, GeartrainError
from geartrain.server import EmbeddedServer, find_module
from geartrain.wire import Endpoint, Link
from support.hooks import information
from support.sanitizers import reports_folder, sanitized
from support.servers import require_module, required
from support.waiting import wait_for


def modules(url):
    """The names of the modules that a server has loaded."""
    with Link(Endpoint(url)) as link:
        flat = [dict(zip(item[::2], item[1::2], strict=True)) for item in link.call("MODULE", "LIST")]
        return [item["name"] for item in flat]


def test_a_server_loads_the_module(module_server):
    """`EmbeddedServer.start(module=True)` is all that it takes; after a restart it is there again."""
    assert module_server.has_module
    assert "geartrain" in modules(module_server.url)
    module_server.restart()
    assert "geartrain" in modules(module_server.url)


def test_it_answers_which_hooks_there_are(module_server):
    """GEARTRAIN.HOOK LIST has the shard's tag, whether there is sync, and the hooks: none."""
    with Link(Endpoint(module_server.url)) as link:
        flat = link.call("GEARTRAIN.HOOK", "LIST")
    reply = dict(zip(flat[::2], flat[1::2], strict=True))
    assert set(reply) >= {"tag", "sync", "hooks"}
    assert reply["hooks"] == []


@pytest.mark.servers("redis-6.2")
def test_an_older_server_says_that_it_is_too_old(fresh_server, flavour):
    """It refuses the module, its log has a line that says which servers can load it, and it goes on."""
    require_module()
    server = fresh_server(flavour)
    with Link(Endpoint(server.url)) as link:
        with pytest.raises(CommandError, match="MODULE"):
            link.call("MODULE", "LOAD", str(find_module()))
        assert link.call("PING") == "PONG"
    assert "7.2" in "".join(line for line in server.log_path.read_text().splitlines() if "geartrain" in line)


def test_sanitizers_watch_where_they_are_asked_for(module_server):
    """In `make test-sanitize` the server's process has their library, and the module's code calls it."""
    if reports_folder() is None:
        pytest.skip("without sanitizers: `make test-sanitize`")
    mapped = Path(f"/proc/{module_server.pid}/maps").read_text()
    assert "libasan" in mapped
    assert str(find_module()) in mapped


def test_the_module_exports_what_servers_look_for_and_nothing_else():
    """Two functions: everything else in it could meet another module's name."""
    require_module()
    exported = defined_symbols(find_module())
    assert exported - {"_init", "_fini", "__bss_start", "_edata", "_end"} == {
        "RedisModule_OnLoad",
        "RedisModule_OnUnload",
    }


def defined_symbols(library):
    """The names that a shared library defines for others (nm)."""
    import shutil
    import subprocess

    if shutil.which("nm") is None or reports_folder() is not None:
        pytest.skip("needs nm, and a module without sanitizers")
    output = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in output.splitlines()}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("workers", "option workers must be followed by its value"),
        ("workers many", "option workers must be a number from 0 to 256"),
        ("workers 257", "option workers must be a number from 0 to 256"),
        ("workers -1", "option workers must be a number from 0 to 256"),
        ("sync-timeout 0", "option sync-timeout must be a number of milliseconds, 1 to 3600000"),
        ("sync-timeout soon", "option sync-timeout must be a number of milliseconds, 1 to 3600000"),
        ("colour red", "option colour must be one of workers N, worker-url URL, sync-timeout MS, python PATH"),
        (f"{'x' * 5000} 1", "must be one of workers N"),
        ("workers 1 python /nowhere/python", "no workers: /nowhere/python cannot be executed: No such file"),
    ],
    ids=lambda value: value[:30],
)
def test_a_wrong_option_is_refused_with_a_line_in_the_log(module_flavour, tmp_path_factory, options, line):
    """The server does not start without the module that its configuration asks for, and says why."""
    require_module()
    binary = sanitized(required(module_flavour), tmp_path_factory.mktemp("binary"))
    with pytest.raises(GeartrainError) as caught:
        EmbeddedServer.start(binary=binary, module=False, options={"loadmodule": f"{find_module()} {options}"}).stop()
    assert line in str(caught.value)


def test_a_wrong_option_at_run_time_leaves_the_server_as_it_was(fresh_server, module_flavour):
    """MODULE LOAD fails; with the right options it works after that."""
    require_module()
    server = fresh_server(module_flavour, options={"enable-module-command": "local"})
    with Link(Endpoint(server.url)) as link:
        for options in (("workers", "x"), ("workers", 1, "python", "/nowhere/python")):
            with pytest.raises(CommandError, match="MODULE"):
                link.call("MODULE", "LOAD", str(find_module()), *options)
            # Nothing of it is left that would be called.
            seconds = int(information(link, "server")["uptime_in_seconds"])
            link.transaction([("SET", "k", 1), ("EXPIRE", "k", 100), ("DEL", "k"), ("FLUSHALL",), ("SWAPDB", 0, 1)])
            wait_for(lambda: int(information(link, "server")["uptime_in_seconds"]) > seconds)  # noqa: B023 - called here
        link.call("MODULE", "LOAD", str(find_module()), "sync-timeout", 500)
        assert link.call("GEARTRAIN.HOOK", "SET", "h", 1) == "OK"
        assert link.call("SET", "k", 1) == "OK"
        assert len(link.call("KEYS", "geartrain:*:h")) == 1


def test_it_cannot_be_unloaded_and_says_why(fresh_server, module_flavour):
    """It keeps hooks in backups (a data type), so the server refuses, and its log says why; all works as before."""
    server = fresh_server(module_flavour, module={}, options={"enable-module-command": "local"})
    with Link(Endpoint(server.url)) as link:
        link.call("GEARTRAIN.HOOK", "SET", "h", 1)
        with pytest.raises(CommandError, match="data types"):
            link.call("MODULE", "UNLOAD", "geartrain")
        assert "Error unloading module geartrain" in server.log_path.read_text(errors="replace")
        link.call("SET", "k", 1)
        assert len(link.call("KEYS", "geartrain:*")) == 1


def test_it_is_loaded_once(fresh_server, module_flavour):
    """A second MODULE LOAD is refused."""
    server = fresh_server(module_flavour, module={}, options={"enable-module-command": "local"})
    with Link(Endpoint(server.url)) as link:
        with pytest.raises(CommandError, match="MODULE"):
            link.call("MODULE", "LOAD", str(find_module()))
        assert link.call("GEARTRAIN.HOOK", "LIST")
