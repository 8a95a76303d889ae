"""Records of the shards themselves: ShardsIDReader, and what of the shards a `run()` reads."""

from __future__ import annotations

from collections.abc import Iterator

from geartrain.builder import Reader, RunRequest
from geartrain.config import Dialect
from geartrain.errors import CommandError
from geartrain.readers.scanning import is_exact
from geartrain.wire import Access, Shard


def shard_ids(link: Access, dialect: Dialect, shard: Shard | None = None) -> Iterator[str]:
    """The id of each shard (or of one), 40 characters: its primary's node id, or the `run_id` of a server alone.

    In the dialect redisgears-1.2 a server alone is '1'.

    Raises:
        CommandError: the server does not tell.
    """
    for each in link.shards if shard is None else (shard,):
        yield each.node or ("1" if dialect is Dialect.REDISGEARS_1_2 else run_id(link))


def run_id(link: Access) -> str:
    """What a server calls itself until it ends, 40 characters.

    Raises:
        CommandError: it does not tell.
    """
    for line in str(link.call("INFO", "server")).splitlines():
        name, _, value = line.partition(":")
        if name == "run_id":
            return value
    raise CommandError("INFO", "there is no run_id in the section `server`")


def reads_one_key(request: RunRequest) -> bool:
    """Whether a `run()` names the one key that it reads."""
    named = request.reader in {Reader.KEYS, Reader.KEYS_ONLY, Reader.STREAM} and request.pattern_generator is None
    return named and is_exact(request.pattern, literal=request.no_scan)
