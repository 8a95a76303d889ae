"""Workers in this process, on real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.tls import Certificate, TlsProxy, make_certificate
from support.working import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """A certificate of 127.0.0.1, and its key."""
    made = make_certificate(tmp_path)
    if made is None:
        pytest.skip("no openssl to make a certificate with")
    return made


@pytest.fixture
def tls_port(valkey: EmbeddedServer, certificate: Certificate) -> Iterator[int]:
    """A port that speaks TLS and passes everything on to `valkey`."""
    with TlsProxy(valkey.port, certificate) as proxy:
        yield proxy.port
