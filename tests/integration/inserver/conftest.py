"""Servers with the module in them; each test's own, because hooks and the interpreter outlive FLUSHALL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geartrain.wire import Endpoint, Link
from support.inserver import load_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import MakeServer
    from geartrain.server import EmbeddedServer

FLAVOURS = ("valkey-9.1", "redis-8.2")
"""Servers that take the module."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on every server that takes the module."""
    if "flavour" in metafunc.fixturenames and metafunc.definition.get_closest_marker("servers") is None:
        metafunc.definition.add_marker(pytest.mark.servers(*FLAVOURS))


@pytest.fixture
def gears(flavour: str, fresh_server: MakeServer) -> EmbeddedServer:
    """A server with the module, whose functions may take 5 s: machines that run tests are slow at times."""
    return fresh_server(flavour, options=load_line(timeout_ms=5000))


@pytest.fixture
def client(gears: EmbeddedServer) -> Iterator[Link]:
    """A connection to `gears`."""
    with Link(Endpoint(gears.url)) as link:
        yield link
