"""The service: takes the calls of the lanes `admin` and `script`, and orders to its executors; a child of each worker.

    admin, control ──a thread of a pool──> handler ──────────────────────────────> answer
    script ──────────a seat, a thread──> task ──an executor process──> answer ... Done ──> the seat is free

A script's call stays in its lane until there is a seat for it: another worker may have one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from geartrain.environments import Cancelled, make
from geartrain.errors import GeartrainError, ServerUnavailable, message_of
from geartrain.registry.executions import State, Yield
from geartrain.resp3 import Error, Status, encode, encode_array
from geartrain.rg.arguments import upper
from geartrain.rg.calls import Answers, Calls, Taken
from geartrain.rg.commands import HANDLERS
from geartrain.rg.commands.pyexecute import task_of
from geartrain.rg.config import Config
from geartrain.rg.executors import Died, Executors
from geartrain.rg.memory import Memory
from geartrain.rg.messages import ABORTED
from geartrain.rg.server import Server
from geartrain.text import shown
from geartrain.wire import Endpoint, access

logger = logging.getLogger("geartrain.rg")

_AT_ONCE = 128
"""Calls of the lane `admin` that are worked on at the same time: some of them wait for executions."""

_TICK = 0.5
"""Seconds between two looks at the shards and at idle processes."""

_MOMENT = 0.5
"""Seconds in which clients are told that their script was ended."""


class Service:
    """See the module's docstring.

    Args:
        endpoint: the server, or the cluster.
        name: unique among all services, ever.
        patience: seconds that a stop waits for what was taken; scripts that run on are ended.
    """

    def __init__(self, endpoint: Endpoint, name: str, patience: float) -> None:
        self._patience = patience
        self._endpoint = endpoint
        self._control = f"control:{name}"
        with access(endpoint, "geartrain:rg") as link:
            threads = max(3, Config.read(link).number("ExecutionThreads"))
        self._executors = Executors(endpoint.url, self._control)
        self._memory = Memory(lambda: self._executors.pids)
        self._answers = Answers(endpoint)
        self._servers = threading.local()
        admin = _Pool("geartrain-admin", _AT_ONCE, self._admin)
        scripts = _Pool("geartrain-script", threads, self._script)
        self._pools = (admin, scripts)
        self._calls = (
            Calls(endpoint, "admin", ["admin", self._control], admin),
            Calls(endpoint, "script", ["script"], scripts),
        )
        self._stopping = threading.Event()

    def run(self) -> None:
        """Serve until `stop`."""
        while not self._stopping.wait(_TICK):
            try:
                for calls in self._calls:
                    calls.look()
            except GeartrainError as error:
                logger.debug("the shards are not known: %s", error)
            self._executors.prune()
        deadline = time.monotonic() + self._patience
        for calls in self._calls:
            calls.stop(deadline)
        for pool in self._pools:
            pool.stop(deadline)
        self._executors.close()
        for pool in self._pools:
            pool.stop(time.monotonic() + _MOMENT)

    def stop(self) -> None:
        """End in good order; from any thread."""
        self._stopping.set()

    # -- what pools do -------------------------------------------------------------------------------------------------

    def _server(self, taken: Taken) -> Server:
        server: Server | None = getattr(self._servers, "mine", None)
        if server is None:
            server = self._servers.mine = Server(self._endpoint, self._executors, self._memory)
        server.asked = taken.address
        return server

    def _admin(self, taken: Taken) -> None:
        self._answers.send(taken, encode(_answer(lambda: self._handled(taken))))

    def _handled(self, taken: Taken) -> Any:
        call = taken.call
        if call.lane == self._control:
            return self._ordered(call.args)
        handler = HANDLERS.get(upper(call.args[0]))
        if handler is None:
            return Error(f"ERR unknown command '{shown(call.args[0])}': this worker's version does not have it")
        return handler(call, self._server(taken))

    def _ordered(self, words: list[str | bytes]) -> Any:
        match [upper(words[0]), *map(shown, words[1:])]:
            case ["ABORT", execution]:
                if self._executors.abort(execution):
                    return Status("OK")
                return Error(f"ERR execution {execution} does not run here")
            case ["PING"]:
                return Status("PONG")
            case _:
                return Error("ERR the order is neither ABORT <execution> nor PING")

    def _script(self, taken: Taken) -> None:
        answered = threading.Event()

        def answer(blob: bytes) -> None:
            answered.set()
            self._answers.send(taken, blob)

        error = _answer(lambda: self._run(taken, answer))
        if error is not None and not answered.is_set():
            answer(encode(error))

    def _run(self, taken: Taken, answer: Callable[[bytes], None]) -> Any:
        """Run a script; what its client is to be told, if it was not answered."""
        task = task_of(taken.call, self._server(taken))
        if task.terms.environment:
            self._server(taken).store.note_environment(task.terms.environment, task.terms.requirements)
            make(
                task.terms.environment,
                task.terms.requirements,
                max_idle=task.pip_idle,
                cancelled=self._stopping.is_set,
            )
        deaths: list[Died] = []

        def died(death: Died) -> None:
            logger.warning("session %s: %s", task.session, death)
            deaths.append(death)
            if death.execution:
                self._note_death(taken, death)

        self._executors.run(task, answer, died)
        if not deaths:
            return None
        if deaths[0].aborted:
            return [[], [ABORTED]]
        return Error(f"ERR {deaths[0]}: by the script, or from outside; what it had executed has happened")

    def _note_death(self, taken: Taken, death: Died) -> None:
        """An execution whose process has gone has ended, with that error."""
        executions = self._server(taken).bounded()
        kept = executions.get(death.execution)
        if kept is not None and not kept.status.ended:
            state, error = (State.ABORTED, ABORTED) if death.aborted else (State.DONE, str(death))
            duration = round((time.time() - kept.started) * 1e6)
            ended = replace(kept, status=state, errors=1, duration_us=duration)
            executions.end(ended, Yield(errors=encode_array([error])))


class _Pool:
    """Threads that work on calls, each by itself; a `Taker`."""

    def __init__(self, name: str, size: int, work: Callable[[Taken], None]) -> None:
        self._work = work
        self._threads = ThreadPoolExecutor(size, name)
        self._condition = threading.Condition()
        self._size = self._free = size

    def room(self, seconds: float) -> bool:
        """As `Taker`."""
        with self._condition:
            return self._condition.wait_for(lambda: self._free > 0, seconds)

    def take(self, taken: Taken) -> bool:
        """As `Taker`."""
        if not self.reserve():
            return False
        try:
            self._threads.submit(self._do, taken)
        except RuntimeError:
            # It was shut down.
            self.leave()
            return False
        return True

    def reserve(self) -> bool:
        """Take a place, if there is one."""
        with self._condition:
            if not self._free:
                return False
            self._free -= 1
            return True

    def leave(self) -> None:
        """Give a place back."""
        with self._condition:
            self._free += 1
            self._condition.notify_all()

    def stop(self, deadline: float) -> None:
        """Take nothing more; returns when nothing is worked on, or at a time of `time.monotonic`."""
        self._threads.shutdown(wait=False)
        with self._condition:
            everything = lambda: self._free == self._size  # noqa: E731
            self._condition.wait_for(everything, max(0.0, deadline - time.monotonic()))

    def _do(self, taken: Taken) -> None:
        try:
            self._work(taken)
        except Exception:
            logger.exception("a bug in Geartrain, please report it")
        finally:
            self.leave()


def _answer(handled: Callable[[], Any]) -> Any:
    """What a call is answered with, whatever is raised."""
    try:
        return handled()
    except ServerUnavailable as error:
        return Error(f"ERR the server cannot be reached from the worker: {error}")
    except GeartrainError as error:
        return Error(f"ERR {error}")
    except Cancelled:
        return Error("ERR the worker ends, and the packages are not installed yet")
    except Exception as error:
        logger.exception("a bug in Geartrain, please report it")
        return Error(f"ERR internal error: {type(error).__name__}: {message_of(error)}; the worker's log says more")
