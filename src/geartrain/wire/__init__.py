"""Connections: redis-py makes them, hiredis parses, `Link` makes them again, `ClusterLink` has one to each shard."""

from __future__ import annotations

from geartrain.wire.access import Access, access
from geartrain.wire.channel import (
    REDIRECTIONS,
    Argument,
    Channel,
    Command,
    ErrorReply,
    is_passing,
    pack,
    pack_all,
    parse,
    raise_for,
)
from geartrain.wire.cluster import ClusterLink
from geartrain.wire.endpoint import Address, Endpoint
from geartrain.wire.lanes import Lane, Lanes
from geartrain.wire.link import Link
from geartrain.wire.members import UNUSABLE, Member, parse_members
from geartrain.wire.replication import LONGEST_WAIT, Short
from geartrain.wire.scripts import Script
from geartrain.wire.shard import Shard
from geartrain.wire.topology import Topology, topology_of

__all__ = [
    "LONGEST_WAIT",
    "REDIRECTIONS",
    "UNUSABLE",
    "Access",
    "Address",
    "Argument",
    "Channel",
    "ClusterLink",
    "Command",
    "Endpoint",
    "ErrorReply",
    "Lane",
    "Lanes",
    "Link",
    "Member",
    "Script",
    "Shard",
    "Short",
    "Topology",
    "access",
    "is_passing",
    "pack",
    "pack_all",
    "parse",
    "parse_members",
    "raise_for",
    "topology_of",
]
