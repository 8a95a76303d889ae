"""A CommandReader registration in the server: a function that is called as a trigger, or in the place of a command.

The module makes the record, calls the pipeline, sends its results and counts what goes well (native/commandcall.c);
Python code sees what failed, and says what the client gets then.
"""

from __future__ import annotations

import _geartrain
from geartrain.builder.requests import CommandArguments
from geartrain.errors import CommandError
from geartrain.inserver.context import CONTEXT
from geartrain.inserver.database import Database
from geartrain.inserver.moduletally import ANYTHING, ModuleTally
from geartrain.pipeline import compile_pipeline
from geartrain.registry.statistics import Delta
from geartrain.worker.deployment import Deployment


def _has_trigger(deployment: Deployment) -> bool:
    arguments = deployment.registration.arguments
    return isinstance(arguments, CommandArguments) and arguments.trigger is not None


class CommandFunction:
    """See the module's docstring.

    Args:
        handle: the hook's function.
        deployment: the registration's code.
        history: executions that its history keeps.
        worker: what the history names as having executed.
    """

    def __init__(self, handle: _geartrain.Handle, deployment: Deployment, history: int, worker: str) -> None:
        self.id = deployment.registration.id
        self.database = Database(handle)
        self._handle = handle
        self._pipeline = compile_pipeline(
            deployment.pipeline.steps,
            dialect=deployment.dialect,
            convert=deployment.registration.convert,
            collects=False,
        )
        self._tally = ModuleTally(
            handle, self.id, "its trigger" if _has_trigger(deployment) else "its command", history, worker
        )

    def start(self) -> None:
        """Take commands from now on."""
        _geartrain.install(self._handle, self._pipeline.function, self._failed, None, CONTEXT, None, ANYTHING)

    def close(self) -> None:
        """The hook goes."""

    def role_changed(self) -> None:
        """Nothing is kept that another primary may have changed."""

    def deltas(self) -> list[Delta]:
        """What there is to add to its statistics."""
        return self._tally.deltas()

    def written(self) -> None:
        """What it has left for the statistics is in them: nothing waits for that."""

    def _failed(self, begin: int, duration: int, key: str | bytes | None, error: BaseException, _record: None) -> str:
        """Note what an execution raised; returns the client's error line."""
        message = self._tally.failed(begin, duration, key, error, self._pipeline)
        return error.reply if isinstance(error, CommandError) and error.command == "call_next" else f"ERR {message}"
