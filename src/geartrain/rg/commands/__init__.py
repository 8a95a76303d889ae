"""The commands of the lane `admin`, one function each: from the call and the server to a value, or an `RgError`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from geartrain.rg.commands import cluster, configuration, executions, profiles, registrations, sessions
from geartrain.rg.server import Server
from geartrain.worker.serving import Call

Handler = Callable[[Call, Server], Any]
"""Answers a call: with what `resp3.encode` takes. May raise any GeartrainError."""

HANDLERS: Mapping[str, Handler] = {
    "RG.ABORTEXECUTION": executions.abort,
    "RG.CLEARREGISTRATIONSSTATS": registrations.clear_statistics,
    "RG.CONFIGGET": configuration.get,
    "RG.CONFIGSET": configuration.change,
    "RG.DROPEXECUTION": executions.drop,
    "RG.DUMPEXECUTIONS": executions.dump,
    "RG.DUMPREGISTRATIONS": registrations.dump,
    "RG.GETEXECUTION": executions.get,
    "RG.GETRESULTS": executions.results,
    "RG.GETRESULTSBLOCKING": executions.results_blocking,
    "RG.INFOCLUSTER": cluster.info,
    "RG.PAUSEREGISTRATIONS": registrations.pause,
    "RG.PYDUMPREQS": sessions.dump_requirements,
    "RG.PYDUMPSESSIONS": sessions.dump,
    "RG.PYPROFILE": profiles.profile,
    "RG.PYSTATS": profiles.memory,
    "RG.REFRESHCLUSTER": cluster.refresh,
    "RG.UNPAUSEREGISTRATIONS": registrations.unpause,
    "RG.UNREGISTER": registrations.unregister,
}
