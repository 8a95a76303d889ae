"""A worker process: `python -m geartrain.worker`, as the supervisor starts it. Started by hand it works too.

| variable | what it says |
|---|---|
| `GEARTRAIN_URL` | the server |
| `GEARTRAIN_WORKER_SETTINGS` | JSON: the fields of `geartrain.config.WorkerSettings` that are not their defaults |
| `GEARTRAIN_WORKER_ID` | its id; no other worker that may still live has it; one is made up where it is not set |
| `GEARTRAIN_SECRET` | the secret that code is signed with, if any |
| `GEARTRAIN_SUPERVISOR_FD` | the socket to the supervisor (`worker/parent.py`), if there is one |

`--environment NAME` says that its interpreter is that of an environment (`geartrain.environments`): it serves the
registrations of sessions with these requirements, and no others. Workers start such processes themselves.

Exit codes: 0 after a clean stop (SIGTERM, SIGINT, or the supervisor's end), 1 after an error, which the log tells.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from itertools import count
from queue import SimpleQueue
from typing import NoReturn

from geartrain.config import URL_VARIABLE, WorkerSettings
from geartrain.errors import ArgumentError, GeartrainError, ServerUnavailable
from geartrain.runtime import names
from geartrain.wire import Endpoint, topology_of
from geartrain.worker.child import ID_VARIABLE, SETTINGS_VARIABLE
from geartrain.worker.environments import ENVIRONMENT_OPTION
from geartrain.worker.parent import Parent
from geartrain.worker.policy import backoff
from geartrain.worker.service import Service
from geartrain.worker.supervisor import GRACE
from geartrain.worker.worker import Worker

logger = logging.getLogger("geartrain.worker")


def main() -> int:
    """Run one worker until it is told to stop; the exit code."""
    try:
        settings = _settings()
        names.install()
        parent = Parent.from_environment(settings.stop_deadline + GRACE)
        name = os.environ.pop(ID_VARIABLE, None)
        environment = _environment(sys.argv[1:])
        if parent is not None:
            parent.follow()
        endpoint = _endpoint()
        _wait_for(endpoint)
        worker = Worker(endpoint, settings, name, parent.ready if parent else None, environment)
        _log_as(worker.id)
        service = Service(endpoint, settings)
        _stop_on_signals(worker, service, settings.stop_deadline + GRACE / 2)
        if not environment:
            # An environment's worker is the child of another one, which has a service.
            service.start()
        running = worker.run()
        service.stop()
    except GeartrainError as error:
        logging.basicConfig()
        logger.error("%s", error)  # noqa: TRY400 - a traceback of ours tells users nothing
        return 1
    if running:
        # Not through the interpreter's own end: threads that run on meanwhile can make that abort.
        _end()
    threading.Thread(target=_end_later, name="geartrain-end", daemon=True).start()
    return 0


def _end_later() -> None:
    """Threads of user code that are no daemons would keep this process for ever."""
    time.sleep(GRACE / 2)
    logger.warning("threads that user code has started still run; they are ended")
    _end()


def _end() -> NoReturn:
    """End this process now, with what has been logged."""
    logging.shutdown()
    os._exit(0)


def _environment(arguments: list[str]) -> str:
    match arguments:
        case []:
            return ""
        case [option, name] if option == ENVIRONMENT_OPTION and name:
            return name
    raise ArgumentError(f"{' '.join(arguments)!r} : a worker takes no arguments but {ENVIRONMENT_OPTION} NAME")


def _endpoint() -> Endpoint:
    url = os.environ.get(URL_VARIABLE)
    if not url:
        raise ArgumentError(f"{URL_VARIABLE} is not set: it is to name the server, for example redis://127.0.0.1:6379")
    return Endpoint(url)


def _wait_for(endpoint: Endpoint) -> None:
    """Wait until the server, or one node of the cluster, answers; signals end the process meanwhile."""
    for failures in count(1):
        try:
            topology_of(endpoint)
        except ServerUnavailable as error:
            if failures == 1:
                sys.stderr.write(f"the server is away, and waited for: {error}\n")
            time.sleep(backoff(failures))
        else:
            return


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


def _stop_on_signals(worker: Worker, service: Service, patience: float) -> None:
    """SIGTERM and SIGINT stop the worker; `patience` seconds later (a server that is silent, say) it is ended.

    A handler may interrupt the main thread anywhere, also within an `Event` whose lock it holds: `worker.stop()` there
    could wait for itself. So a thread calls it; `SimpleQueue.put` is made for handlers.
    """
    requests: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: requests.put(received))

    def wait() -> None:
        requests.get()
        worker.stop()
        service.request_stop()
        time.sleep(patience)
        logger.warning("not stopped after %g s, and ended now: what is not committed will run again", patience)
        _end()

    threading.Thread(target=wait, name="geartrain-signals", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
