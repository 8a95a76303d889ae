"""A server as users of RedisGears have it, shared by a module's tests, one after the other.

    gears       the server, empty: `dialect redisgears-1.2`, one worker, packages from a folder of wheels
    beside      the same, whose interpreter has rgsync beside geartrain
    link        a connection to `gears`

Nobody stops them.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

import pytest

from geartrain.server import EmbeddedServer
from support.gears import BESIDE, GEARS, WHEELS, clean, connect, wait_until_served
from support.servers import VALKEY, require_client, require_module, required, stable_port


@contextmanager
def started(binary, options, env):
    """A server with the module, which takes calls; stopped after the block."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        server = EmbeddedServer.start(port=stable_port(), binary=binary, module=True, module_options=options)
    with server:
        with connect(server) as link:
            wait_until_served(link)
        yield server


@pytest.fixture(scope="module")
def shared(request, tmp_path_factory):
    """One server for a module's tests."""
    require_module()
    place = tmp_path_factory.mktemp("environments")
    env = {"GEARTRAIN_WHEELS": str(WHEELS), "XDG_CACHE_HOME": str(place)}
    with started(required(VALKEY), GEARS, env) as server:
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
def shared_beside():
    """One server for a module's tests, whose interpreter has rgsync."""
    require_module()
    require_client(BESIDE)
    with started(required(VALKEY), {**GEARS, "python": BESIDE}, dict(os.environ)) as server:
        yield server
        print(server.log_path.read_text(errors="replace")[-5000:])


@pytest.fixture
def beside(shared_beside):
    """The server whose interpreter has rgsync, empty and with nothing registered."""
    with connect(shared_beside) as link:
        clean(link)
    return shared_beside
