"""Workers in this process, on real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.working import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geartrain.server import EmbeddedServer


@pytest.fixture
def written_soon(monkeypatch):
    """Statistics are written within a tenth of a second."""
    monkeypatch.setattr("geartrain.worker.reports._INTERVAL", 0.05)


@pytest.fixture
def place(valkey: EmbeddedServer) -> Iterator[Workplace]:
    """An empty Valkey 9.1, and workers for it."""
    with Workplace(valkey.url) as place:
        yield place


@pytest.fixture
def captured(module_server: EmbeddedServer) -> Iterator[Workplace]:
    """An empty server with the server module, of each flavour in turn, and workers for it."""
    with Workplace(module_server.url) as place:
        yield place


@pytest.fixture
def everywhere(server: EmbeddedServer) -> Iterator[Workplace]:
    """An empty server of each flavour in turn, and workers for it."""
    with Workplace(server.url) as place:
        yield place
