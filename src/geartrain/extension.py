"""The record path in C (`extension/`), where it is installed; without it the same is done in Python, more slowly.

`GEARTRAIN_NATIVE=0` in the environment leaves it out.
"""

from __future__ import annotations

import os
from types import ModuleType

SWITCH = "GEARTRAIN_NATIVE"
"""The environment variable that leaves the extension out."""


def _load() -> ModuleType | None:
    if os.environ.get(SWITCH) == "0":
        return None
    try:
        import _geartrain_records  # noqa: PLC0415 - it may be missing: no compiler, or no headers of Python
    except ImportError:
        return None
    return _geartrain_records


extension = _load()
"""The extension, or None."""
