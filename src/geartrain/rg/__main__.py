"""The service process: `python -m geartrain.rg`, as a worker starts it.

| variable | what it says |
|---|---|
| `GEARTRAIN_URL` | the server |
| `GEARTRAIN_WORKER_SETTINGS` | JSON: the worker's settings; `stop_deadline` is heeded |
| `GEARTRAIN_WORKER_ID` | its id; no other service that may still live has it |
| `GEARTRAIN_SECRET` | the secret that code is signed with, if any |
| `GEARTRAIN_SUPERVISOR_FD` | the socket to the worker (`worker/parent.py`), if there is one |

Exit codes: 0 after a clean stop (SIGTERM, SIGINT, or the worker's end), 1 after an error, which the log tells.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import socket
import sys
import threading
from queue import SimpleQueue

from geartrain.config import DEFAULT_URL, URL_VARIABLE, WorkerSettings
from geartrain.errors import GeartrainError
from geartrain.rg.service import Service
from geartrain.wire import Endpoint
from geartrain.worker.child import ID_VARIABLE, SETTINGS_VARIABLE
from geartrain.worker.parent import Parent

logger = logging.getLogger("geartrain.rg")

_GRACE = 2.0
"""Seconds beyond the stop deadline that a clean stop may take once the worker has gone; then this ends at once."""


def main() -> int:
    """Serve until told to stop; the exit code."""
    # Taken out: what user code starts is no worker.
    settings = json.loads(os.environ.pop(SETTINGS_VARIABLE, "{}"))
    patience = float(settings.get("stop_deadline", WorkerSettings().stop_deadline))
    name = os.environ.pop(ID_VARIABLE, None) or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    logging.basicConfig(level=logging.WARNING, format=f"%(asctime)s %(levelname)s {name}: %(message)s")
    logging.getLogger("geartrain").setLevel(logging.INFO)
    parent = Parent.from_environment(patience + _GRACE)
    if parent is not None:
        parent.follow()
    try:
        service = Service(Endpoint(os.environ.get(URL_VARIABLE) or DEFAULT_URL), name, patience)
    except GeartrainError as error:
        logger.error("%s", error)  # noqa: TRY400 - a traceback of ours tells users nothing
        return 1
    _stop_on_signals(service)
    if parent is not None:
        parent.ready()
    service.run()
    logging.shutdown()
    # Not through the interpreter's own end: threads may still wait for processes that have been killed.
    os._exit(0)


def _stop_on_signals(service: Service) -> None:
    """A handler may interrupt the main thread anywhere, so a thread calls `stop`; `SimpleQueue.put` is for handlers."""
    requests: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: requests.put(received))

    def wait() -> None:
        requests.get()
        service.stop()

    threading.Thread(target=wait, name="geartrain-signals", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
