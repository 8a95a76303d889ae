"""How records are made in this installation."""

from __future__ import annotations

import os

from geartrain.cli.health.finding import Finding, ok, warning
from geartrain.extension import SWITCH, extension

_NAME = "records"


def check_records() -> Finding:
    """Whether workers of this installation read streams in C."""
    if extension is not None:
        return ok(_NAME, "workers of this installation read streams in C")
    slower = "workers of this installation read streams in Python, which is slower"
    if os.environ.get(SWITCH) == "0":
        return warning(_NAME, f"{slower}: {SWITCH} is 0", f"unset {SWITCH}")
    return warning(
        _NAME,
        f"{slower}: the extension is not installed",
        "install a C compiler (Debian: apt install gcc libc6-dev; macOS: xcode-select --install), the headers of Python"
        " where they are a package of their own (python3-dev), and Geartrain again: pip install --force-reinstall",
    )
