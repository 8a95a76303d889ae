"""Connections: redis-py makes them, hiredis packs and parses, `Link` makes them again."""

from __future__ import annotations

from geartrain.wire.channel import Argument, Channel, Command, ErrorReply, pack, pack_all, parse, raise_for
from geartrain.wire.endpoint import Endpoint
from geartrain.wire.link import Link
from geartrain.wire.scripts import Script

__all__ = [
    "Argument",
    "Channel",
    "Command",
    "Endpoint",
    "ErrorReply",
    "Link",
    "Script",
    "pack",
    "pack_all",
    "parse",
    "raise_for",
]
