"""The embedded server: for development, tests and demos, a real server that this process starts and stops.

And a cluster of several, and where the server module is, which they load.
"""

from __future__ import annotations

from geartrain.server.binary import find_binary
from geartrain.server.cluster import EmbeddedCluster
from geartrain.server.clusternodes import ClusterNode
from geartrain.server.embedded import EmbeddedServer
from geartrain.server.module import find_module, load_line
from geartrain.server.noderecipe import holds_cluster

__all__ = [
    "ClusterNode",
    "EmbeddedCluster",
    "EmbeddedServer",
    "find_binary",
    "find_module",
    "holds_cluster",
    "load_line",
]
