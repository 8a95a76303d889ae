"""The embedded server's configuration as text."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from geartrain.errors import ArgumentError
from geartrain.server.configuration import Configuration, check_port, quoted
from geartrain.server.module import load_line


def lines(**arguments) -> list[str]:
    """The configuration's lines, of a temporary server unless the arguments say otherwise."""
    return Configuration(**{"directory": Path("/data"), "persistent": False, **arguments}).text().splitlines()


def test_a_temporary_server_saves_nothing():
    """Neither an append-only file nor snapshots."""
    assert {"appendonly no", 'save ""'} <= set(lines(port=7000))


def test_a_persistent_server_saves_as_it_goes():
    """An append-only file, synced every second, and snapshots."""
    assert {"appendonly yes", "appendfsync everysec", "save 3600 1 300 100 60 10000"} <= set(lines(persistent=True))


def test_only_this_machine_reaches_it():
    """It is bound to the loopback address."""
    assert "bind 127.0.0.1" in lines(port=7000)


def test_a_socket_file_replaces_the_port():
    """With a Unix socket there is no TCP port at all, and only its owner may connect."""
    configuration = Configuration(directory=Path("/data"), persistent=False, unix_socket=Path("/run/my redis.sock"))
    assert {"port 0", 'unixsocket "/run/my redis.sock"', "unixsocketperm 700"} <= set(configuration.text().splitlines())
    assert configuration.url == "unix:///run/my%20redis.sock"


def test_options_win_whatever_their_case():
    """An option replaces the setting of its name instead of standing beside it."""
    written = lines(persistent=True, options={"AppendFsync": "always", "loadmodule": "/lib/geartrain.so sync yes"})
    assert "appendfsync always" in written
    assert "appendfsync everysec" not in written
    assert "loadmodule /lib/geartrain.so sync yes" in written


def test_a_password_is_part_of_the_url():
    """A server with `requirepass` gives a URL that connects, whatever is in the password."""
    configuration = Configuration(
        directory=Path("/data"), persistent=False, port=7000, options={"requirepass": '"a b@c"'}
    )
    assert configuration.url == "redis://:a%20b%40c@127.0.0.1:7000"


def test_paths_are_quoted():
    """Spaces, quotes and backslashes of a path stay one value."""
    assert quoted(Path('/a "b" \\c')) == '"/a \\"b\\" \\\\c"'


def test_a_path_with_a_line_break_is_refused():
    """It would be a second setting."""
    with pytest.raises(ArgumentError, match="line break"):
        quoted(Path("/a\nloadmodule /evil"))


@pytest.mark.parametrize("port", [0, -1, 65536, "7000", True, 7000.0])
def test_what_is_no_port_is_refused(port):
    """The message names the value and what is allowed."""
    with pytest.raises(ArgumentError, match=r"a port is a whole number from 1 to 65535"):
        check_port(port)


def test_the_module_is_loaded_beside_what_the_options_load():
    """Its line stands alone; `loadmodule` among the options is another module's."""
    written = lines(options={"loadmodule": "/lib/other.so"}, module="loadmodule /lib/geartrain.so")
    assert {"loadmodule /lib/other.so", "loadmodule /lib/geartrain.so"} <= set(written)


def test_the_line_that_loads_the_module_names_this_python_and_the_options():
    """Words with spaces are quoted, the others stand as they are."""
    assert load_line(Path("/my lib/geartrain.so"), {"sync-timeout": 200}) == (
        f'loadmodule "/my lib/geartrain.so" python {sys.executable} sync-timeout 200'
    )
    assert load_line(Path("/geartrain.so"), {"python": "/py"}) == "loadmodule /geartrain.so python /py"
