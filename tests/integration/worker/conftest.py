"""Workers in this process, on real servers."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _written_soon(written_soon):
    """Statistics are written within a tenth of a second."""
