"""RG.PYSTATS, RG.PYPROFILE STATS, RG.PYPROFILE RESET."""

from __future__ import annotations

from typing import Any

from geartrain.errors import RgError
from geartrain.registry import profiles
from geartrain.resp3 import Status
from geartrain.rg.arguments import count, text, upper
from geartrain.rg.server import Server
from geartrain.worker.serving import Call


def memory(call: Call, server: Server) -> list[Any]:
    """Bytes of the processes that serve RG.* commands here."""
    count(call.args, 1, 1)
    total, peak, current = server.memory.look()
    return ["TotalAllocated", total, "PeakAllocated", peak, "CurrAllocated", current]


def profile(call: Call, server: Server) -> Any:
    """`STATS session [order by]`: the profile as text; `RESET session`."""
    count(call.args, 3, 4)
    session = text("session", call.args[2])
    match upper(call.args[1]):
        case "STATS":
            return _stats(server, session, text("order by", call.args[3]) if len(call.args) > 3 else "tottime")
        case "RESET":
            count(call.args, 3, 3)
            profiles.reset(server.link, session)
            return Status("OK")
        case other:
            raise RgError(f"{other} is no subcommand of RG.PYPROFILE; these are STATS and RESET")


def _stats(server: Server, session: str, order: str) -> str:
    found = profiles.read(server.link, session)
    if found is None:
        raise RgError(f"session {session!r} has no profile: ProfileExecutions (RG.CONFIGSET) is on while one is taken")
    try:
        return profiles.shown(found, order)
    except KeyError:
        raise RgError(f"{order!r} is no column to order by; these are {', '.join(profiles.COLUMNS)}") from None
