"""Where the server module is: `geartrain.so`, which `pip install` builds from C where there is a compiler.

In an installed package it lies in `geartrain/native/`, beside nothing else. In an editable installation (a developer's)
the Python files are in `src/`, and the module is where the installation's other files are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import MappingProxyType

from geartrain.errors import GeartrainError
from geartrain.server.configuration import word

MODULE_VARIABLE = "GEARTRAIN_MODULE"
"""Names another module than the package's: one that is built with sanitizers, say."""

NO_OPTIONS: Mapping[str, object] = MappingProxyType({})

_PLACE = "geartrain/native/geartrain.so"


def find_module() -> Path:
    """The server module: that of GEARTRAIN_MODULE, where it is set, else the installed one.

    Raises:
        GeartrainError: there is none; the message says what to do.
    """
    named = os.environ.get(MODULE_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise GeartrainError(f"{MODULE_VARIABLE} names {named!r}, where there is no file: correct it, or unset it")
        return Path(named).resolve()
    for path in _places():
        if path.is_file():
            return path.resolve()
    raise GeartrainError(
        "the server module is not installed: no C compiler was found when Geartrain was. Install one (Debian: apt"
        " install gcc libc6-dev; macOS: xcode-select --install), and Geartrain again: pip install --force-reinstall"
        " --no-deps --no-cache-dir geartrain (in a clone: make clean setup)"
    )


def load_line(module: Path, options: Mapping[str, object] = NO_OPTIONS) -> str:
    """The line that loads it, for a server's configuration file: `loadmodule PATH python PYTHON ...`.

    Args:
        module: its path.
        options: its options, by name. `python` is this interpreter unless it is among them.
    """
    given = {"python": sys.executable, **options}
    return " ".join(["loadmodule", word(module), *(f"{name} {word(value)}" for name, value in given.items())])


def _places() -> Iterator[Path]:
    """Where it may be, the likeliest first."""
    yield Path(__file__).parents[2] / _PLACE
    try:
        yield Path(str(distribution("geartrain").locate_file(_PLACE)))
    except PackageNotFoundError:
        return
