"""Fixtures for the server module as commands show it; no workers.

    module_pool     servers with the module that tests share, one after the other: nobody stops them
    db              a connection to an empty one of each flavour in turn (`module_flavour`)
    own             a connection to `module_server`, which the test may stop
    connect         makes connections
    raw             makes raw connections to the server of `db`: `raw()`, `raw(protocol=3)`
    replicate       makes a replica of a server

Servers run under sanitizers where `make test-sanitize` asks for it.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit
from zlib import crc32

import pytest

from geartrain.server import EmbeddedServer
from geartrain.wire import Endpoint, Link
from support.calls import Raw
from support.sanitizers import check_reports, reports_folder, sanitized
from support.servers import MODULE_FLAVOURS, SharedServer, require_module, required
from support.waiting import wait_for


def pytest_collection_modifyitems(config, items):
    """In CI each test of this folder runs on one flavour, and under sanitizers on the other one; elsewhere on all.

    So both flavours are seen by each test in a run of CI and one of `make test-sanitize`, in half of the time.
    """
    sanitizing = reports_folder() is not None
    if not sanitizing and os.environ.get("CI") != "true":
        return
    kept, left_out = [], []
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        turn = crc32(item.nodeid.partition("[")[0].encode()) % 2 ^ sanitizing
        others = {*MODULE_FLAVOURS} - {("valkey-9.1", "redis-8.2")[turn]}
        leaves_out = FOLDER in item.path.parents and item.get_closest_marker("servers") is None
        (left_out if leaves_out and parameters.get("module_flavour") in others else kept).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)


FOLDER = Path(__file__).parent

DEBUG = {"enable-debug-command": "local"}
"""The setting with which a server takes DEBUG."""


@pytest.fixture(scope="session")
def module_pool(tmp_path_factory):
    """Each flavour's server, started when a test first asks for it."""
    shared = {}

    def take(flavour):
        if flavour not in shared:
            binary = sanitized(required(flavour), tmp_path_factory.mktemp("binary"))
            require_module()
            # No worker of the server's own comes between tests that play workers.
            made = EmbeddedServer.start(binary=binary, module=True, module_options={"workers": 0}, options=DEBUG)
            shared[flavour] = SharedServer(made)
        return shared[flavour].reset()

    yield take
    for item in shared.values():
        item.server.stop()
    check_reports()


@pytest.fixture
def db(module_pool, module_flavour):
    """A connection to an empty server with the module, of each flavour in turn; tests share it."""
    server = module_pool(module_flavour)
    with Link(Endpoint(server.url)) as link:
        yield link
    assert server.running, server.log_path.read_text(errors="replace")[-3000:]


@pytest.fixture
def own(module_server):
    """A connection to `module_server`."""
    with Link(Endpoint(module_server.url)) as link:
        yield link


@pytest.fixture
def connect():
    """Makes connections: `connect(server)`, `connect(server, database)`."""
    with ExitStack() as stack:

        def make(server, database=0):
            url = server if isinstance(server, str) else server.url
            return stack.enter_context(Link(Endpoint(f"{url}/{database}" if database else url)))

        yield make


@pytest.fixture
def raw(db):
    """Makes raw connections to the server of `db`."""
    with ExitStack() as stack:

        def make(protocol=2):
            connection = Raw(urlsplit(db.endpoint.url).port, protocol)
            stack.callback(connection.close)
            return connection

        yield make


@pytest.fixture
def replicate(fresh_server, connect):
    """`replicate(primary, flavour, options)`: a replica of it that is online; (server, connection)."""

    def attach(primary, flavour, options=None, *, delay=0):
        if delay is not None:
            connect(primary).call("CONFIG", "SET", "repl-diskless-sync-delay", delay)
        address = {"replicaof": f"127.0.0.1 {primary.port}"}
        server = fresh_server(flavour, module={}, options={**address, **(options or {})})
        link = connect(server)
        wait_online(link)
        return server, link

    return attach


def wait_online(link):
    """Wait until a replica has its primary's data."""
    wait_for(lambda: "master_link_status:up" in link.call("INFO", "replication"), 20, "the replica is online")
