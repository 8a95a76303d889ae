"""Access to the cluster that tests share, and workers for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geartrain.wire import Access, Endpoint, access
from support.working import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def link(cluster_url: str) -> Iterator[Access]:
    """Access to `cluster`."""
    with access(Endpoint(cluster_url)) as link:
        yield link


@pytest.fixture
def place(cluster_url: str) -> Iterator[Workplace]:
    """`cluster`, and workers for it."""
    with Workplace(cluster_url) as place:
        yield place
