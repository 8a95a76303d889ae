"""Access to the cluster that tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geartrain.wire import Access, Endpoint, access

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def link(cluster_url: str) -> Iterator[Access]:
    """Access to `cluster`."""
    with access(Endpoint(cluster_url)) as link:
        yield link
