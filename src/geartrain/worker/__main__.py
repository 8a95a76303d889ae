"""A worker process: `python -m geartrain.worker`, as the supervisor starts it. Started by hand it works too.

| variable | what it says |
|---|---|
| `GEARTRAIN_URL` | the server |
| `GEARTRAIN_WORKER_SETTINGS` | JSON: the fields of `geartrain.config.WorkerSettings` that are not their defaults |
| `GEARTRAIN_WORKER_ID` | its id; no other worker that may still live has it; one is made up where it is not set |
| `GEARTRAIN_SECRET` | the secret that code is signed with, if any |
| `GEARTRAIN_SUPERVISOR_FD` | the socket to the supervisor (`worker/parent.py`), if there is one |

Exit codes: 0 after a clean stop (SIGTERM, SIGINT, or the supervisor's end), 1 after an error, which the log tells.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from queue import SimpleQueue

from geartrain.config import URL_VARIABLE, WorkerSettings
from geartrain.errors import ArgumentError, GeartrainError
from geartrain.wire import Endpoint
from geartrain.worker.child import ID_VARIABLE, SETTINGS_VARIABLE
from geartrain.worker.parent import Parent
from geartrain.worker.supervisor import GRACE
from geartrain.worker.worker import Worker

logger = logging.getLogger("geartrain.worker")


def main() -> int:
    """Run one worker until it is told to stop; the exit code."""
    try:
        settings = _settings()
        parent = Parent.from_environment(settings.stop_deadline + GRACE)
        name = os.environ.pop(ID_VARIABLE, None)
        worker = Worker(_endpoint(), settings, name, on_ready=parent.ready if parent else None)
        _log_as(worker.id)
        _stop_on_signals(worker)
        if parent is not None:
            parent.follow()
        worker.run()
    except GeartrainError as error:
        logging.basicConfig()
        logger.error("%s", error)  # noqa: TRY400 - a traceback of ours tells users nothing
        return 1
    return 0


def _endpoint() -> Endpoint:
    url = os.environ.get(URL_VARIABLE)
    if not url:
        raise ArgumentError(f"{URL_VARIABLE} is not set: it is to name the server, for example redis://127.0.0.1:6379")
    return Endpoint(url)


def _settings() -> WorkerSettings:
    text = os.environ.get(SETTINGS_VARIABLE, "{}")
    try:
        return WorkerSettings(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"{SETTINGS_VARIABLE}: {text!r} is not JSON of worker settings: {error}") from error


def _log_as(worker: str) -> None:
    """Lines on standard error: what we do, what scripts log, and warnings of everything else."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)s {worker}: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("geartrain").setLevel(logging.INFO)


def _stop_on_signals(worker: Worker) -> None:
    """SIGTERM and SIGINT stop the worker.

    A handler may interrupt the main thread anywhere, also within an `Event` whose lock it holds: `worker.stop()` there
    could wait for itself. So a thread calls it; `SimpleQueue.put` is made for handlers.
    """
    requests: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: requests.put(received))

    def wait() -> None:
        while True:
            requests.get()
            worker.stop()

    threading.Thread(target=wait, name="geartrain-signals", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
