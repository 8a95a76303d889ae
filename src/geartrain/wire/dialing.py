"""What redis-py does of a connection: URLs, sockets, TLS, the login, and asking Sentinels.

Imported when the first address is read: redis-py takes longer to import than all of Geartrain that a function needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from geartrain.errors import CommandError, ServerUnavailable
from geartrain.wire.channel import Channel

_PROTOCOL = {"protocol": 2} if int(redis.__version__.partition(".")[0]) >= 5 else {}
"""redis-py 4 speaks no other. It is what environments have whose packages ask for redis < 5, as RedisGears' did."""


def pool(url: str, timeout: float) -> ConnectionPool:
    """What connections to a URL are made by.

    Args:
        url: of one server.
        timeout: seconds that a connection may take to be made.

    Raises:
        ValueError: it is none that redis-py knows.
    """
    options = _options(timeout)
    if url.startswith("unix:"):
        del options["socket_keepalive"]
    found = ConnectionPool.from_url(url, **options)
    # Whatever a URL says of the protocol: replies would have other forms than those that are expected here.
    found.connection_kwargs.update(_PROTOCOL)
    return found


def _options(timeout: float) -> dict[str, Any]:
    return {
        **_PROTOCOL,
        "decode_responses": False,
        "socket_connect_timeout": timeout,
        "socket_timeout": timeout,  # of the login and so on, each
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
    }


def dial(by: ConnectionPool) -> Channel:
    """A new connection."""
    # Not `make_connection`: the pool counts what it makes, and stops at 100, however many were closed since.
    connection = by.connection_class(**by.connection_kwargs)
    connection.connect()
    return Channel(connection)


def primary(sentinels: Sequence[tuple[str, int]], service: str, timeout: float) -> tuple[str, int]:
    """Host and port of the primary that Sentinels name now."""
    host, port = Sentinel(list(sentinels), socket_timeout=timeout).discover_master(service)
    return str(host), int(port)


@contextmanager
def explained(shown: str) -> Iterator[None]:
    """Raise what redis-py raises as our own errors.

    Args:
        shown: the address, for people.

    Raises:
        ServerUnavailable: no connection, or the server is loading its data.
        CommandError: the server refuses the login or the database.
    """
    try:
        yield
    except redis.AuthenticationError as error:
        raise CommandError("AUTH", str(error)) from error
    except (redis.ConnectionError, redis.TimeoutError, MasterNotFoundError, OSError) as error:
        raise ServerUnavailable(f"no connection to {shown}: {error}") from error
    except redis.ResponseError as error:
        raise CommandError("HELLO", str(error)) from error
