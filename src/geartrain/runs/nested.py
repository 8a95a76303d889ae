"""`run()` in a step of the dialect redisgears-1.2: an execution of its own, which a coroutine can await."""

from __future__ import annotations

import threading
from contextvars import copy_context
from dataclasses import replace
from typing import Any

from geartrain.builder import RegisterRequest, RunRequest
from geartrain.config import Dialect
from geartrain.errors import ArgumentError
from geartrain.keys import slot_of
from geartrain.pipeline import Collected, Running, cut
from geartrain.readers import reads_one_key
from geartrain.runtime import current
from geartrain.wire import Endpoint, topology_of


class StepHost:
    """Takes what steps submit while they run.

    Args:
        endpoint: the server, or the cluster.
        dialect: of the session that the steps belong to.
    """

    def __init__(self, endpoint: Endpoint, dialect: Dialect) -> None:
        self.dialect = dialect
        self._endpoint = endpoint

    def register(self, request: RegisterRequest) -> str:
        """Refused: a registration is of a session, which a script submits as a whole."""
        raise ArgumentError(
            f"register({request.pattern!r}): a step cannot register; put it at the top level of the script"
        )

    def run(self, request: RunRequest) -> Any:
        """Begin to execute; a future: `await` gives [results, errors], and so does its method `result()`.

        A thread of this process reads one shard after the other.
        """
        running = Running()
        work = copy_context().run
        arguments = (self._perform, request, slot_of(current().hashtag()), running)
        threading.Thread(target=work, args=arguments, name="geartrain-run", daemon=True).start()
        return running

    def _perform(self, request: RunRequest, home: int, running: Running) -> None:
        try:
            results, errors = everywhere(request, self.dialect, self._endpoint, home)
            running.set_result([results, [error.text() for error in errors]])
        except BaseException as error:  # noqa: BLE001 - user code may raise anything; whoever awaits gets it
            running.set_exception(error)


def everywhere(request: RunRequest, dialect: Dialect, endpoint: Endpoint, home: int) -> Collected:
    """Do a run in this thread; its results, and the errors of single records.

    Args:
        request: what is to be done.
        dialect: the record format, and what the steps mean.
        endpoint: the server, or the cluster.
        home: a slot of the shard where it begins.

    Raises:
        StepError, CommandError, ServerUnavailable: as `perform`.
    """
    from geartrain.runs import job  # noqa: PLC0415 - a job has such a host for its own steps

    topology = topology_of(endpoint)
    if not topology.clustered or reads_one_key(request):
        share = job.Share(slot_of(request.pattern)) if topology.clustered else None
        return job.perform(job.Job(request, dialect), endpoint, share)
    parts = cut(request.steps, dialect)
    convert = request.convert and not parts.together
    work = job.Job(replace(request, steps=parts.shard, convert=convert), dialect)
    topology.refresh()
    collected = Collected([], [])
    here = topology.shard_of(home)
    for shard in (here,) if request.local else topology.shards:
        results, errors = job.perform(work, endpoint, job.Share(slot_of(shard.tag)))
        collected.errors.extend(errors)
        if request.collect or shard == here:
            collected.results.extend(results)
    if not parts.together:
        return collected
    with job.surroundings(endpoint, dialect) as context:
        results, errors = job.through(parts.together, collected.results, context, dialect, convert=request.convert)
    return Collected(results, collected.errors + errors)
