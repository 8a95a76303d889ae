"""Records of the shards themselves: ShardsIDReader, and which shards have what a `run()` reads."""

from __future__ import annotations

from collections.abc import Iterator

from geartrain import glob
from geartrain.builder import Reader, RunRequest
from geartrain.errors import CommandError
from geartrain.wire import Access, Shard


def shard_ids(link: Access, shard: Shard | None = None) -> Iterator[str]:
    """The id of each shard (or of one), 40 characters: its primary's node id, or the `run_id` of a server alone.

    Raises:
        CommandError: the server does not tell.
    """
    for each in link.shards if shard is None else (shard,):
        yield each.node or _run_id(link)


def _run_id(link: Access) -> str:
    for line in str(link.call("INFO", "server")).splitlines():
        name, _, value = line.partition(":")
        if name == "run_id":
            return value
    raise CommandError("INFO", "there is no run_id in the section `server`")


def shards_of(request: RunRequest, link: Access) -> tuple[Shard, ...]:
    """The shards that may have records for a `run()`: where it reads one key, that key's; else all.

    Raises:
        ServerUnavailable: nobody serves the key.
    """
    named = request.reader in {Reader.KEYS, Reader.KEYS_ONLY, Reader.STREAM}
    if named and (request.no_scan or glob.is_exact(request.pattern.encode())):
        return (link.shard_of(request.pattern),)
    return link.shards
