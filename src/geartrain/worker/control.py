"""Orders to this worker, by `GEARTRAIN.CALL control:worker:<id> ABORT <execution>`: what `RG.ABORTEXECUTION` sends."""

from __future__ import annotations

from geartrain.resp3 import Error, Status, encode
from geartrain.text import shown
from geartrain.worker.recorder import Recorder
from geartrain.worker.serving import Call, name_of


class Control:
    """Answers orders.

    Args:
        recorder: knows what runs.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __call__(self, call: Call) -> bytes:
        """As `Handler`."""
        match [name_of(call.args[0]), *map(shown, call.args[1:])]:
            case [b"abort", execution]:
                if self._recorder.abort(str(execution)):
                    return encode(Status("OK"))
                return encode(Error(f"ERR execution {execution} does not run here"))
            case [b"ping"]:
                return encode(Status("PONG"))
            case _:
                return encode(Error("ERR the order is neither ABORT <execution> nor PING"))

    def answered(self) -> None:
        """As `Handler`."""

    def close(self) -> None:
        """As `Handler`."""
