"""`geartrain module`: where the server module is, and the line that loads it."""

from __future__ import annotations

import sys
from pathlib import Path

from geartrain.server import EmbeddedServer, find_module
from geartrain.wire import Endpoint, Link
from support.processes import run_cli
from support.servers import require_module, required


def test_it_prints_the_path():
    """Alone on standard output, so that it can be used in a script."""
    require_module()
    done = run_cli("module")
    assert done.returncode == 0
    assert Path(done.stdout.strip()).is_file()
    assert Path(done.stdout.strip()).name == "geartrain.so"


def test_the_line_for_the_configuration_loads_it():
    """A server that is given the line has the module; it names the Python whose packages functions may import."""
    require_module()
    line = run_cli("module", "--loadmodule").stdout.strip()
    name, _, words = line.partition(" ")
    assert name == "loadmodule"
    assert words.endswith(f" python {sys.executable}")
    binary = required("valkey-9.1")
    with EmbeddedServer.start(binary=binary, options={name: words}) as server, Link(Endpoint(server.url)) as link:
        assert "name=geartrain," in link.call("INFO", "modules")


def test_without_a_module_it_fails_and_says_what_to_do():
    """Exit code 1, nothing on standard output."""
    done = run_cli("module", env={"GEARTRAIN_MODULE": "/nowhere/geartrain.so"})
    assert (done.returncode, done.stdout) == (1, "")
    assert "'/nowhere/geartrain.so', where there is no file" in done.stderr


def test_a_named_module_is_preferred(monkeypatch, tmp_path):
    """GEARTRAIN_MODULE is for modules that are built another way, with sanitizers say."""
    other = tmp_path / "other.so"
    other.touch()
    monkeypatch.setenv("GEARTRAIN_MODULE", str(other))
    assert find_module() == other
