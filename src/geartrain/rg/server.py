"""What handlers of commands work with: the registry, the settings, the processes; one for each thread."""

from __future__ import annotations

from geartrain.client import Client
from geartrain.registry import Store, gearsconfig
from geartrain.registry.executions import Executions
from geartrain.rg.config import Config
from geartrain.rg.executors import Executors
from geartrain.rg.memory import Memory
from geartrain.wire import Endpoint, access


class Server:
    """The server, or the cluster, as handlers see it. For one thread.

    Args:
        endpoint: where it is.
        executors: the processes that run scripts here.
        memory: what all of them use.

    Attributes:
        endpoint, executors, memory: as given.
        client: for what programs can do too.
        link: a connection.
        store: the registry.
        executions: those that are kept.
        asked: the primary that has the call's client.
    """

    def __init__(self, endpoint: Endpoint, executors: Executors, memory: Memory) -> None:
        self.endpoint = endpoint
        self.executors = executors
        self.memory = memory
        self.asked = endpoint.address
        self.client = Client(endpoint.url)
        self.link = access(endpoint, "geartrain:rg:admin")
        self.store = Store(self.link)
        self.executions = Executions(self.link)

    @property
    def config(self) -> Config:
        """The settings now."""
        return Config.read(self.link)

    def bounded(self) -> Executions:
        """The same executions, for who notes the end of one: then the oldest go, by the settings now."""
        self.executions.limits = gearsconfig.read(self.link).limits
        return self.executions
