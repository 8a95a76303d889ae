"""Workers in this process that serve what is registered in the dialect redisgears-1.2."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _written_soon(written_soon):
    """Statistics are written within a tenth of a second."""
