"""The embedded server: for development, tests and demos, a real server that this process starts and stops.

And where the server module is, which it loads.
"""

from __future__ import annotations

from geartrain.server.binary import find_binary
from geartrain.server.embedded import EmbeddedServer
from geartrain.server.module import find_module, load_line

__all__ = ["EmbeddedServer", "find_binary", "find_module", "load_line"]
