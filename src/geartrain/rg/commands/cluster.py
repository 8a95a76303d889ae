"""RG.INFOCLUSTER, RG.REFRESHCLUSTER."""

from __future__ import annotations

from typing import Any

from geartrain.errors import GeartrainError
from geartrain.readers.shards import run_id
from geartrain.resp3 import Status
from geartrain.rg.arguments import count
from geartrain.rg.server import Server
from geartrain.wire import ClusterLink, Link, Shard, topology_of
from geartrain.worker.serving import Call

_ALONE = Status("no cluster mode")


def info(call: Call, server: Server) -> Any:
    """The node that was asked, and each shard's primary; on a server that is no cluster, that it is none."""
    count(call.args, 1, 1)
    link = server.link
    if not isinstance(link, ClusterLink):
        return _ALONE
    shards = {shard: _run_id(link.on(shard)) for shard in link.shards}
    mine = next((shard for shard in shards if shard.primary == server.asked), None)
    head = ["MyId", mine.node, "MyRunId", shards[mine]] if mine is not None else ["MyId", "", "MyRunId", ""]
    return [*head, [_shard(shard, run_id) for shard, run_id in shards.items()]]


def refresh(call: Call, server: Server) -> Status:
    """Ask the nodes again which of them serves which slot."""
    count(call.args, 1, 1)
    topology_of(server.endpoint).refresh()
    return Status("OK")


def _shard(shard: Shard, run_id: str) -> list[Any]:
    return [
        "id", shard.node,
        "ip", shard.primary.host,
        "port", shard.primary.port,
        "unixSocket", "None",
        "runid", run_id,
        "minHslot", min(first for first, _ in shard.slots),
        "maxHslot", max(last for _, last in shard.slots),
        "pendingMessages", 0,
    ]  # fmt: skip


def _run_id(link: Link) -> str:
    """A node's; nothing where it is away, or does not tell."""
    try:
        return run_id(link)
    except GeartrainError:
        return ""
