"""RG.DUMPEXECUTIONS, GETEXECUTION, GETRESULTS, GETRESULTSBLOCKING, DROPEXECUTION, ABORTEXECUTION.

Executions are kept in the registry, whichever process and whichever shard executes them, so every node shows all.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from geartrain.errors import CommandError, RgError
from geartrain.registry.executions import Kept, PlanStep, State, Yield
from geartrain.registry.sequence import ALONE
from geartrain.resp3 import Encoded, Status
from geartrain.rg.arguments import count, text, upper
from geartrain.rg.server import Server
from geartrain.wire import ClusterLink
from geartrain.worker.serving import Call

_OK = Status("OK")

_LOOK = 0.02
"""Seconds between two looks at an execution that somebody waits for, at the beginning; later ten times as long."""

_LIFE = 1.0
"""Seconds between two looks whether its owner still lives."""

_AGAIN = 0.5
"""Seconds until an owner that did not answer is asked again."""

_HINT = "RG.DUMPEXECUTIONS lists those that there are"


def dump(call: Call, server: Server) -> list[Any]:
    """`[SHARD|CLUSTER]`: id, status and whether it is a registration's, of every execution, the oldest first."""
    count(call.args, 1, 2)
    _scope(call.args[1:])
    return [
        ["executionId", item.id, "status", item.status.value, "registered", int(item.registration is not None)]
        for item in _settled(server, server.executions.all())
    ]


def get(call: Call, server: Server) -> list[Any]:
    """`id [SHARD|CLUSTER]`: the plan of an execution, for each shard; by default for all, where there is a cluster."""
    count(call.args, 2, 3)
    scope = _scope(call.args[2:])
    kept = _found(call, server)
    shards = _shards(server, everywhere=scope != "SHARD")
    # Results and errors are with the shard that the execution began on; its id tells which.
    first = kept.id.rpartition("-")[0]
    first = first if first in shards else shards[0]
    return [["shard_id", shard, "execution_plan", _plan(kept, counts=shard == first)] for shard in shards]


def results(call: Call, server: Server) -> list[Any]:
    """`id`: results and errors of an execution that has ended."""
    count(call.args, 2, 2)
    kept = _found(call, server)
    if not kept.status.ended:
        raise RgError(f"execution {kept.id} is still running; RG.GETRESULTSBLOCKING waits for its end")
    return _given(server, kept.id)


def results_blocking(call: Call, server: Server) -> list[Any]:
    """`id`: the same, after its end; keeps the calling thread until then."""
    count(call.args, 2, 2)
    kept = _found(call, server)
    wait, life = _LOOK, time.monotonic() + _LIFE
    while not kept.status.ended:
        time.sleep(wait)
        wait = min(wait * 1.2, 10 * _LOOK)
        looks = time.monotonic() >= life
        kept = _found(call, server, settle=looks)
        life = time.monotonic() + _LIFE if looks else life
    return _given(server, kept.id)


def drop(call: Call, server: Server) -> Status:
    """`id`: keep an execution no longer."""
    count(call.args, 2, 2)
    name = _name(call)
    _found(call, server)
    status = server.executions.drop(name)
    if status is None:
        raise _unknown(name)
    if not status.ended:
        raise RgError(f"execution {name} is still running; RG.ABORTEXECUTION ends it")
    return _OK


def abort(call: Call, server: Server) -> Status:
    """`id`: end a running execution."""
    count(call.args, 2, 2)
    kept = _found(call, server)
    if kept.status.ended or not _order(server, kept):
        raise RgError(f"execution {kept.id} has already ended")
    return _OK


def _order(server: Server, kept: Kept) -> bool:
    """Have its owner end it; whether it was still running."""
    try:
        server.link.at_home().call("GEARTRAIN.CALL", kept.owner, "ABORT", kept.id)
    except CommandError:
        # Its owner has gone, or has just ended it: then this is refused too.
        return server.bounded().abort(kept.id)
    # At once as everybody sees it; its owner counts it when it has.
    server.bounded().abort(kept.id)
    return True


def _found(call: Call, server: Server, *, settle: bool = True) -> Kept:
    name = _name(call)
    kept = server.executions.get(name)
    if kept is None:
        raise _unknown(name)
    return _settled(server, [kept])[0] if settle else kept


def _name(call: Call) -> str:
    return text("id", call.args[1])


def _unknown(name: str) -> RgError:
    return RgError(f"execution {name} does not exist; {_HINT}")


def _scope(words: Iterable[str | bytes]) -> str | None:
    """SHARD or CLUSTER, or None."""
    for word in words:
        scope = upper(word)
        if scope not in ("SHARD", "CLUSTER"):
            raise RgError(f"{scope} is neither SHARD nor CLUSTER")
        return scope
    return None


def _settled(server: Server, executions: list[Kept]) -> list[Kept]:
    """The same; those whose process has gone are aborted, and noted so."""
    gone = _gone(server, {item.owner for item in executions if not item.status.ended})
    found = []
    for item in executions:
        if item.status.ended or item.owner not in gone:
            found.append(item)
        elif server.bounded().abort(item.id):
            found.append(replace(item, status=State.ABORTED))
        else:
            # It has ended meanwhile.
            found += [kept for kept in [server.executions.get(item.id)] if kept is not None]
    return found


def _gone(server: Server, owners: set[str]) -> set[str]:
    """Those whose process has ended; asked twice, because it may just be connecting again."""
    silent = {owner for owner in owners if not _lives(server, owner)}
    if silent:
        time.sleep(_AGAIN)
    return {owner for owner in silent if not _lives(server, owner)}


def _lives(server: Server, owner: str) -> bool:
    """Whether a process serves its control lane: the server refuses the call at once where nobody does."""
    try:
        server.link.at_home().call("GEARTRAIN.CALL", owner, "PING")
    except CommandError:
        return False
    return True


def _given(server: Server, name: str) -> list[Any]:
    given = server.executions.results(name) or Yield()
    return [Encoded(given.results), Encoded(given.errors)]


def _shards(server: Server, *, everywhere: bool) -> list[str]:
    """The ids of the shards that an answer tells of."""
    link = server.link
    if not isinstance(link, ClusterLink):
        return [ALONE]
    asked = [shard.node for shard in link.shards if shard.primary == server.asked]
    return [shard.node for shard in link.shards] if everywhere or not asked else asked


def _plan(kept: Kept, *, counts: bool) -> list[Any]:
    return [
        "status", kept.status.value,
        "shards_received", kept.shards_received,
        "shards_completed", kept.shards_completed,
        "results", kept.results if counts else 0,
        "errors", kept.errors if counts else 0,
        "total_duration", kept.duration_us // 1000,
        "read_duration", kept.read_us // 1000,
        "steps", list(map(_step, kept.steps)),
    ]  # fmt: skip


def _step(step: PlanStep) -> list[Any]:
    return ["type", step.type, "duration", step.duration_ms, "name", step.name, "arg", step.arg]
