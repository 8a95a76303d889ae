"""What the tests of the client share."""

from __future__ import annotations

import pytest

from geartrain import Client
from geartrain.wire import Endpoint, Link


@pytest.fixture
def client(valkey):
    """A client of an empty Valkey."""
    with Client(valkey.url) as client:
        yield client


@pytest.fixture
def link(valkey):
    """A connection to the same server."""
    with Link(Endpoint(valkey.url)) as link:
        yield link


@pytest.fixture
def write(tmp_path):
    """Writes a file of a script's directory; gives its path."""

    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write
