"""RG.PYDUMPSESSIONS, RG.PYDUMPREQS."""

from __future__ import annotations

import platform
from collections import defaultdict
from typing import Any

from geartrain.environments import RequirementInfo, requirement_infos
from geartrain.errors import RgError
from geartrain.registry import Registration, Session
from geartrain.rg.arguments import count, text, upper
from geartrain.rg.commands.registrations import described
from geartrain.rg.server import Server
from geartrain.worker.serving import Call

_POOL = "DefaultPool"


def dump(call: Call, server: Server) -> list[Any]:
    """`[TS] [VERBOSE] [SESSIONS s1 s2 ...]`: sessions as alternating names and values.

    TS asks for sessions too that are deleted and not freed yet, and there are none: what is deleted is gone.
    """
    verbose, names = _options(call)
    sessions = [item for item in server.store.sessions() if names is None or item.name in names]
    records: dict[str, dict[str, Registration]] = defaultdict(dict)
    for name, record in server.store.snapshot().registrations.items():
        records[record.session][name] = record
    return [_session(server, session, records[session.name], verbose=verbose) for session in sessions]


def dump_requirements(call: Call, server: Server) -> list[Any]:
    """What scripts have required, and what of that is installed on this machine."""
    count(call.args, 1, 1)
    return [_requirement(item) for item in requirement_infos(server.store.environments())]


def _options(call: Call) -> tuple[bool, set[str] | None]:
    verbose = False
    for at, word in enumerate(call.args[1:], 1):
        match upper(word):
            case "VERBOSE":
                verbose = True
            case "TS":
                continue
            case "SESSIONS":
                return verbose, {text("session", item) for item in call.args[at + 1 :]}
            case other:
                raise RgError(f"{other} is no argument of RG.PYDUMPSESSIONS; these are TS, VERBOSE, SESSIONS s1 s2 ...")
    return verbose, None


def _session(server: Server, session: Session, records: dict[str, Registration], *, verbose: bool) -> list[Any]:
    registrations: list[Any] = sorted(records, key=lambda item: records[item].position)
    requirements: list[Any] = list(session.requirements)
    if verbose:
        found = described(server, records, durations=True)
        registrations = [[*head, "ExecutionThreadPool", _POOL] for _, head in found]
        infos = requirement_infos({session.environment: session.requirements} if session.requirements else {})
        requirements = [_requirement(item) for item in infos]
    return [
        "ID", session.name,
        "sessionDescription", session.description,
        "refCount", len(records),
        "Linked", "true",
        "TS", "false",
        "requirementInstallationNeeded", 0,
        "requirements", requirements,
        "registrations", registrations,
    ]  # fmt: skip


def _requirement(info: RequirementInfo) -> list[Any]:
    return [
        "GearReqVersion", info.version,
        "Name", info.name,
        "IsDownloaded", "yes" if info.downloaded else "no",
        "IsInstalled", "yes" if info.installed else "no",
        "CompiledOs", f"{platform.system().lower()}-{platform.machine()}",
        "Wheels", list(info.wheels),
    ]  # fmt: skip
