"""WAIT: whether replicas have what was sent over connections.

The server knows for each connection up to where its own writes went, so it is asked over the connections that wrote.
What a connection wrote before it was lost cannot be asked about any more, and may be lost with its server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from geartrain.errors import CommandError, ServerUnavailable
from geartrain.wire.channel import ErrorReply, is_passing, pack

if TYPE_CHECKING:
    from geartrain.wire.link import Link

LONGEST_WAIT = 20.0
"""Seconds that one may wait, at the most: less than a connection may be silent."""

_REPLICA = "ERR WAIT cannot be used with replica"


@dataclass(frozen=True, slots=True)
class Short:
    """A server of which fewer replicas than wanted have acknowledged.

    Attributes:
        server: its address, for people.
        acknowledged: how many have.
    """

    server: str
    acknowledged: int


def wait_for_replicas(links: Sequence[Link], replicas: int, seconds: float, *, lost: bool = False) -> list[Short]:
    """Wait until so many replicas of each server have all that was sent over the connections since the last call.

    All servers at the same time.

    Args:
        links: connections on which nothing is outstanding.
        replicas: how many of each server.
        seconds: after which to give up, 0.001 to LONGEST_WAIT.
        lost: another connection was lost on which something was sent since the last call.

    Returns:
        The servers of which fewer have acknowledged.

    Raises:
        ServerUnavailable: a connection was lost since the last call, or is lost now, or its server is no primary any
            more: what was sent may be lost.
        CommandError: a server refuses WAIT.
    """
    command = pack(("WAIT", replicas, max(1, round(seconds * 1000))))
    whole = [link.forget_sent() for link in links]
    used = [link for link, state in zip(links, whole, strict=True) if state]
    if lost or None in whole:
        raise ServerUnavailable("a connection was lost before replicas had acknowledged what was sent over it")
    asked: list[Link] = []
    replies: list[Any] = []
    failed: ServerUnavailable | None = None
    for link in used:
        try:
            link.send(command)
            asked.append(link)
        except ServerUnavailable as error:
            failed = error
    for link in asked:
        try:
            replies += link.replies(1)
        except ServerUnavailable as error:
            failed = error
    for link in used:
        link.forget_sent()
    if failed is not None:
        raise failed
    for reply in replies:
        if isinstance(reply, ErrorReply):
            _refused(reply)
    return [
        Short(str(link.endpoint.address), reply) for link, reply in zip(used, replies, strict=True) if reply < replicas
    ]


def _refused(reply: ErrorReply) -> NoReturn:
    if is_passing(reply) or reply.text.startswith(_REPLICA):
        raise ServerUnavailable(f"replicas were waited for: {reply.text}")
    raise CommandError("WAIT", reply.text)
