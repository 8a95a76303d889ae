"""What pip is told of packages that break with later versions of what they need."""

from __future__ import annotations

import pytest

from geartrain.environments import normalised
from geartrain.environments.constraints import constraints_of


@pytest.mark.parametrize(
    ("requirements", "expected"),
    [
        (["redgrease[runtime]"], ["redis<5"]),
        (["RedGrease==0.3.30", "numpy"], ["redis<5"]),
        (["redgrease", "redis==3.5.3"], []),
        (["numpy", "rgsync"], []),
        (["https://example.org/redgrease-0.3.30-py3-none-any.whl"], []),
    ],
)
def test_an_old_package_brings_its_constraints(requirements, expected):
    """Unless the script says itself which version it wants."""
    assert constraints_of(normalised(requirements)) == expected
