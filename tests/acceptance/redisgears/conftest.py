"""A server as users of RedisGears have it, shared by a module's tests, one after the other.

    gears       the server, empty: `dialect redisgears-1.2`, one worker, packages from a folder of wheels
    beside      the same, whose interpreter has rgsync beside geartrain
    link        a connection to `gears`

Nobody stops them.
"""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from geartrain.server import EmbeddedServer
from support.gears import BESIDE, GEARS, WHEELS, clean, connect, wait_until_served
from support.servers import VALKEY, require_client, require_module, required, stable_port


@contextmanager
def started(options, environments):
    """A server with the module, which takes calls and needs no index of packages; stopped after the block."""
    require_module()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEARTRAIN_WHEELS", str(WHEELS))
        patch.setenv("GEARTRAIN_ENVIRONMENTS", str(environments))
        server = EmbeddedServer.start(port=stable_port(), binary=required(VALKEY), module=True, module_options=options)
    with server:
        with connect(server) as link:
            wait_until_served(link)
        yield server


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One server for a module's tests."""
    with started(GEARS, tmp_path_factory.mktemp("environments")) as server:
        yield server
        print(server.log_path.read_text(errors="replace")[-5000:])


@pytest.fixture
def gears(shared):
    """The server, empty and with nothing registered."""
    with connect(shared) as link:
        clean(link)
    return shared


@pytest.fixture
def link(gears):
    """A connection to `gears`."""
    with connect(gears) as link:
        yield link


@pytest.fixture(scope="module")
def shared_beside(tmp_path_factory):
    """One server for a module's tests, whose interpreter has rgsync."""
    require_client(BESIDE)
    with started({**GEARS, "python": BESIDE}, tmp_path_factory.mktemp("environments")) as server:
        yield server
        print(server.log_path.read_text(errors="replace")[-5000:])


@pytest.fixture
def beside(shared_beside):
    """The server whose interpreter has rgsync, empty and with nothing registered."""
    with connect(shared_beside) as link:
        clean(link)
    return shared_beside
