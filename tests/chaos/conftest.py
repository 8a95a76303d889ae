"""Fixtures for chaos: a connection to the one server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geartrain.wire import Endpoint, Link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geartrain.server import EmbeddedServer


@pytest.fixture
def db(valkey: EmbeddedServer) -> Iterator[Link]:
    """A connection to `valkey`."""
    with Link(Endpoint(valkey.url), "test") as link:
        yield link
