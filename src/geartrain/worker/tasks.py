"""Jobs of `run()`: a thread that takes one after the other, while the worker does everything else.

One at a time: what waits longer than a second is done by whoever called `run()`. A job that this process does not
survive is done again, elsewhere: what its steps have executed happens at least once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from geartrain.errors import CommandError, GeartrainError, ServerUnavailable, StepError, message_of
from geartrain.pipeline import Progress, watching
from geartrain.registry.code import dumps
from geartrain.runs import Job, Reply, Stopped, Ticket, perform, taking
from geartrain.runs.failures import packed
from geartrain.runs.tickets import CLAIM_TTL
from geartrain.wire import Access, Endpoint, access
from geartrain.worker.policy import backoff

logger = logging.getLogger("geartrain.worker")

_WAIT = 1.0
"""Seconds that the server keeps us waiting for a ticket."""

_SIGN = CLAIM_TTL / 4
"""Seconds between two signs of life."""


class Tasks:
    """The thread that does jobs.

    Args:
        endpoint: the cluster, or the server.
        worker: this worker's id.
        environment: this worker's; jobs of others are not for it.
    """

    def __init__(self, endpoint: Endpoint, worker: str, environment: str = "") -> None:
        self._endpoint = endpoint
        self._worker = worker
        self._environment = environment
        self._stopping = threading.Event()
        self._free = threading.Event()
        self._free.set()
        self._thread = threading.Thread(target=self._run, name="geartrain-tasks", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, deadline: float) -> bool:
        """Take nothing more; whether the job that runs has ended, or been given back, by `deadline` (monotonic)."""
        self._stopping.set()
        return self._free.wait(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                with access(self._endpoint, f"geartrain:tasks:{self._worker}") as link:
                    while not self._stopping.is_set():
                        self._next(link)
                        failures = 0
            except ServerUnavailable:
                # The main thread says so in the log.
                failures += 1
            except GeartrainError as error:
                failures += 1
                if failures == 1:
                    logger.warning("no jobs of run() are done here: %s", error)
            self._stopping.wait(backoff(failures))

    def _next(self, link: Access) -> None:
        ticket = taking.take(link, _WAIT, self._environment)
        if ticket is None:
            return
        self._free.clear()
        try:
            if self._stopping.is_set():
                taking.give_back(link, ticket, self._environment)
            else:
                self._do(link, ticket)
        finally:
            self._free.set()

    def _do(self, link: Access, ticket: Ticket) -> None:
        if not taking.claim(link, ticket, self._worker):
            return
        life = _Life(self._endpoint, ticket, self._worker)
        stopped = lambda: life.unwanted or self._stopping.is_set()  # noqa: E731 - asked for each record
        life.start()
        try:
            kind, blob = self._outcome(link, ticket, stopped, life.progress)
            # Not `stopped`: what is done is not thrown away because this worker ends.
            taking.answer(link, ticket, kind, blob, lambda: life.unwanted)
        except Stopped:
            logger.debug("run() %s: nobody waits for it any more", ticket.name)
        finally:
            life.end()
            with suppress(GeartrainError):
                taking.finished(link, ticket)

    def _outcome(
        self, link: Access, ticket: Ticket, stopped: Callable[[], bool], progress: Progress
    ) -> tuple[Reply, bytes]:
        """Do the job; what to answer."""
        try:
            job = taking.job_of(link, ticket)
        except CommandError as error:
            return Reply.FAILED, packed(error)
        except GeartrainError as error:
            return Reply.REFUSED, str(error).encode()
        if job is None:
            raise Stopped
        with watching(progress if job.watched else None):
            return self._results(job, ticket, stopped)

    def _results(self, job: Job, ticket: Ticket, stopped: Callable[[], bool]) -> tuple[Reply, bytes]:
        try:
            results = perform(job, self._endpoint, ticket.share, stopped)
        except Stopped:
            return Reply.RETURNED, b""
        except BaseException as error:  # noqa: BLE001 - user code may raise anything, SystemExit too; the client gets it
            if not isinstance(error, StepError):
                logger.debug("run() %s raised %s: %s", ticket.name, type(error).__name__, message_of(error))
            return Reply.FAILED, packed(error)
        try:
            return Reply.RESULTS, dumps(results)
        except Exception as error:  # noqa: BLE001 - records may be anything
            text = f"its results cannot be pickled: {type(error).__name__}: {message_of(error)}"
            return Reply.REFUSED, text.encode()


class _Life:
    """Says that a job is being done, again and again, and hears whether anybody still waits for it.

    Attributes:
        unwanted: nobody does.
        progress: of the job; the signs tell.
    """

    def __init__(self, endpoint: Endpoint, ticket: Ticket, worker: str) -> None:
        self.unwanted = False
        self.progress = Progress()
        self._endpoint = endpoint
        self._ticket = ticket
        self._worker = worker
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="geartrain-task-life", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """It is done."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with access(self._endpoint, f"geartrain:tasks:{self._worker}") as link:
            while not self._ended.wait(_SIGN):
                try:
                    self.unwanted = not taking.claim(link, self._ticket, self._worker, self.progress.count)
                except GeartrainError as error:
                    logger.debug("run() %s: no sign of life: %s", self._ticket.name, error)
