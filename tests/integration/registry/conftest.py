"""What the tests of the registry share."""

from __future__ import annotations

import pytest

from geartrain.wire import Endpoint, Link


@pytest.fixture
def link(valkey):
    """A connection to an empty Valkey."""
    with Link(Endpoint(valkey.url)) as link:
        yield link
