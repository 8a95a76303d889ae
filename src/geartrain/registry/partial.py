"""Many keys asked at once, where a shard that is away keeps nobody from what the others say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geartrain.errors import ServerUnavailable
from geartrain.wire import Access, Argument, ClusterLink, Command, ErrorReply, Shard

Asked = tuple[Argument, Command]
"""A key, and the command about it."""


def ask(link: Access, asked: Sequence[Asked]) -> list[Any]:
    """The replies in order, error replies as values; CLUSTERDOWN for the keys of a cluster's shard that is away.

    Raises:
        ServerUnavailable: the only server is away.
    """
    if not isinstance(link, ClusterLink):
        return link.pipeline([command for _, command in asked])
    places: dict[Shard | None, list[int]] = {}
    for at, (key, _) in enumerate(asked):
        places.setdefault(shard_of(link, key), []).append(at)
    replies: list[Any] = [ErrorReply("CLUSTERDOWN no node serves the slot")] * len(asked)
    for shard in places.keys() - {None}:
        here = places[shard]
        try:
            answers = link.pipeline([asked[at][1] for at in here])
        except ServerUnavailable as error:
            link.topology.suspect()
            answers = [ErrorReply(f"CLUSTERDOWN {error}")] * len(here)
        for at, answer in zip(here, answers, strict=True):
            replies[at] = answer
    return replies


def is_away(reply: object) -> bool:
    """Whether the reply says that a shard is away."""
    return isinstance(reply, ErrorReply) and reply.code == "CLUSTERDOWN"


def shard_of(link: Access, key: Argument) -> Shard | None:
    """The shard that serves a key; None: nobody does."""
    try:
        return link.shard_of(key)
    except ServerUnavailable:
        return None
