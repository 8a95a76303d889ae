"""The embedded server: for development, tests and demos, a real server that this process starts and stops."""

from __future__ import annotations

from geartrain.server.binary import find_binary
from geartrain.server.embedded import EmbeddedServer

__all__ = ["EmbeddedServer", "find_binary"]
