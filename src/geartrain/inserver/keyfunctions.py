"""A KeysReader registration in the server.

The module itself makes the record, calls the pipeline and counts what goes well (eventrecord.c, functions.c, runs.c in
native/); Python code sees what failed, reads values that are no strings, and takes the counters to the registry. What
no step can notice of a record is not made: for a string the value is a third of what an event costs, the key's `str` a
tenth.
"""

from __future__ import annotations

from typing import Any

import _geartrain
from geartrain.builder.requests import KeysArguments
from geartrain.inserver.context import CONTEXT
from geartrain.inserver.database import Database
from geartrain.inserver.moduletally import ANYTHING, ModuleTally
from geartrain.pipeline import compile_pipeline
from geartrain.pipeline.usage import may_notice, only_read
from geartrain.readers.values import read_value, shows_value
from geartrain.registry.statistics import Delta
from geartrain.worker.deployment import Deployment


class _NotRead:
    """Stands for a value in records whose value no step can notice; only a message about a failure may show it."""

    def __repr__(self) -> str:
        return "(not read: no step uses it)"


_NOT_READ = _NotRead()

_FIELDS = ("key", "value", "type", "event")
"""In the order of the module's bits for them."""


class KeysFunction:
    """See the module's docstring.

    Args:
        handle: the hook's function.
        deployment: the registration's code.
        history: executions that its history keeps.
        worker: what the history names as having executed.
    """

    def __init__(self, handle: _geartrain.Handle, deployment: Deployment, history: int, worker: str) -> None:
        arguments = deployment.registration.arguments
        self.id = deployment.registration.id
        self.database = Database(handle)
        self._handle = handle
        self._dialect = deployment.dialect
        self._pipeline = compile_pipeline(deployment.pipeline.steps, discard=True, single=True, dialect=self._dialect)
        self._reads_value = isinstance(arguments, KeysArguments) and arguments.read_value
        self._tally = ModuleTally(handle, self.id, "key events", history, worker)

    def start(self) -> None:
        """Take events from now on."""
        steps, lone = self._pipeline.steps, self._pipeline.lone
        call, context = (self._pipeline.function, CONTEXT) if lone is None else (lone, None)
        absent = None if may_notice(steps, "value") else _NOT_READ
        noticed = sum(1 << number for number, field in enumerate(_FIELDS) if may_notice(steps, field))
        if not only_read(steps):
            noticed = ANYTHING
        _geartrain.install(self._handle, call, self._failed, self._read, context, absent, noticed)

    def close(self) -> None:
        """The hook goes."""

    def role_changed(self) -> None:
        """Nothing is kept that another primary may have changed."""

    def deltas(self) -> list[Delta]:
        """What there is to add to its statistics."""
        return self._tally.deltas()

    def written(self) -> None:
        """What it has left for the statistics is in them: nothing waits for that."""

    def _read(self, kind: str, key: str | bytes) -> tuple[str, Any]:
        """The type and value of a key that is no string."""
        if kind == "module":
            kind = self.database.call("TYPE", key)
        shown = self._reads_value and shows_value(kind, self._dialect)
        return kind, read_value(self.database.call, kind, key) if shown else None

    def _failed(
        self, begin: int, duration: int, key: str | bytes | None, error: BaseException, record: dict[str, Any] | None
    ) -> None:
        """An execution raised; a key event is not executed again."""
        self._tally.failed(begin, duration, key, error, self._pipeline, record)
