"""The server module in servers: it loads, and in a run with sanitizers it is watched by them."""

from __future__ import annotations

from pathlib import Path

import pytest

from geartrain.errors import CommandError
from geartrain.server import find_module
from geartrain.wire import Endpoint, Link
from support.sanitizers import reports_folder
from support.servers import require_module


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
