"""Orders to this worker, by `GEARTRAIN.CALL control:worker:<id> ...`.

ABORT <execution>   what `RG.ABORTEXECUTION` sends
REPORT              write the statistics now: what `RG.DUMPREGISTRATIONS` shows is then what has happened
PING                whether it is there
"""

from __future__ import annotations

from collections.abc import Callable

from geartrain.resp3 import Error, Status, encode
from geartrain.text import shown
from geartrain.worker.recorder import Recorder
from geartrain.worker.serving import Call, name_of


class Control:
    """Answers orders.

    Args:
        recorder: knows what runs.
        report: has the statistics written, and waits a moment for it.
    """

    def __init__(self, recorder: Recorder, report: Callable[[], object]) -> None:
        self._recorder = recorder
        self._report = report

    def __call__(self, call: Call) -> bytes:
        """As `Handler`."""
        match [name_of(call.args[0]), *map(shown, call.args[1:])]:
            case [b"abort", execution]:
                if self._recorder.abort(str(execution)):
                    return encode(Status("OK"))
                return encode(Error(f"ERR execution {execution} does not run here"))
            case [b"report"]:
                self._report()
                return encode(Status("OK"))
            case [b"ping"]:
                return encode(Status("PONG"))
            case _:
                return encode(Error("ERR the order is none of ABORT <execution>, REPORT and PING"))

    def close(self) -> None:
        """As `Handler`."""
