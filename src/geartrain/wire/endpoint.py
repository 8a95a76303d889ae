"""A server's address, as users write it, and how a connection to it is made.

    redis://[user:password@]host[:port][/db]      rediss://... for TLS (redis-py's query options, such as ssl_ca_certs)
    redis://[user:password@]host:port,host:port   several nodes of a cluster: the first that answers will do
    unix://[user:password@]/path/to/socket[?db=N]
    redis+sentinel://[user:password@]host:port[,host:port...]/service[/db]      (rediss+sentinel:// for TLS)

redis-py parses the URL, connects, authenticates and speaks TLS; after that the connection is a `Channel`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from geartrain.errors import ArgumentError, CommandError, ServerUnavailable
from geartrain.wire.channel import Channel, Command, pack_all

CONNECT_TIMEOUT = 5.0
"""Seconds that a connection may take to be made."""

COMMAND_TIMEOUT = 30.0
"""Seconds without a byte from the server after which a connection counts as lost."""

OWN = "geartrain:"
"""What the names of Geartrain's own connections begin with."""

_SENTINEL_SCHEMES = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
_SCHEMES = ("redis", "rediss", "unix", *_SENTINEL_SCHEMES)


NODE_CONNECT_TIMEOUT = 2.0
"""The same for a node of a cluster, of which others may serve meanwhile."""

_DEFAULT_PORT = 6379


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A node's host and TCP port; for a Unix socket its path, and 0."""

    host: str
    port: int

    def __str__(self) -> str:
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Endpoint:
    """Where a server is, or a cluster. Immutable; `connect()` may be called from any thread.

    Args:
        url: one of the forms above.
        connect_timeout: seconds that a connection may take to be made.

    Attributes:
        addresses: the nodes that the URL names; none where Sentinels are asked.

    Raises:
        ArgumentError: the URL is none of them.
    """

    def __init__(self, url: str, connect_timeout: float = CONNECT_TIMEOUT) -> None:
        self.url = url
        scheme = urlsplit(url).scheme
        if scheme not in _SCHEMES:
            raise ArgumentError(
                f"url: {self.shown!r} is not an address of a server; write redis://host:port/db, rediss://host:port/db,"
                " unix:///path or redis+sentinel://host:port,host:port/service"
            )
        try:
            self._sentinel = _parse_sentinel(url, _SENTINEL_SCHEMES[scheme]) if scheme in _SENTINEL_SCHEMES else None
            urls = [] if self._sentinel else _node_urls(url)
            self._pools = [_pool(item, connect_timeout) for item in urls]
            self.addresses = tuple(_address(pool) for pool in self._pools)
        except ValueError as error:
            raise ArgumentError(f"url: {self.shown!r}: {error}") from error

    @property
    def shown(self) -> str:
        """The URL for people: the password is left out."""
        parts = urlsplit(self.url)
        head, at, tail = parts.netloc.rpartition("@")
        user = head.partition(":")[0]
        return parts._replace(netloc=(f"{user}:***" if ":" in head else user) + at + tail).geturl()

    @property
    def database(self) -> int:
        """The number of the database that the URL selects."""
        if self._pools:
            return int(self._pools[0].connection_kwargs.get("db") or 0)
        return self._sentinel.database if self._sentinel else 0

    @property
    def by_sentinel(self) -> bool:
        """Whether Sentinels are asked for the server."""
        return self._sentinel is not None

    @property
    def address(self) -> Address:
        """The first node that the URL names; where Sentinels are asked, the service's name."""
        if self.addresses:
            return self.addresses[0]
        return Address(self._sentinel.service if self._sentinel else "", 0)

    def at(self, address: Address) -> Endpoint:
        """Another node of the same cluster: the same login, options and TLS."""
        parts = urlsplit(self.url)
        login = "".join(parts.netloc.rpartition("@")[:2])
        scheme = "redis" if parts.scheme == "unix" else parts.scheme
        path = "" if parts.scheme == "unix" else parts.path
        return Endpoint(
            parts._replace(scheme=scheme, netloc=f"{login}{address}", path=path).geturl(), NODE_CONNECT_TIMEOUT
        )

    def at_database_0(self) -> Endpoint:
        """The same server or servers, where the URL selects another database; not for Sentinel."""
        parts = urlsplit(self.url)
        query = "&".join(item for item in parts.query.split("&") if item and not item.startswith("db="))
        path = parts.path if parts.scheme == "unix" else ""
        return Endpoint(parts._replace(path=path, query=query).geturl())

    def connect(self, name: str | None = None) -> Channel:
        """A new connection, ready for commands; to the first node that takes one, where the URL names several.

        Args:
            name: shown in the server's `CLIENT LIST`.

        Raises:
            ServerUnavailable: no connection, or the server is loading its data.
            CommandError: the server refuses the login or the database.
        """
        if self._sentinel:
            return self._connect(None, name)
        failed: list[ServerUnavailable] = []
        for pool in self._pools:
            try:
                return self._connect(pool, name)
            except ServerUnavailable as error:
                failed.append(error)
        if len(failed) == 1:
            raise failed[0]
        why = [str(error.__cause__).rstrip(".") for error in failed]
        each = "; ".join(f"{address}: {text}" for address, text in zip(self.addresses, why, strict=True))
        raise ServerUnavailable(f"no connection to any node of {self.shown}: {each}") from failed[-1]

    def _connect(self, pool: ConnectionPool | None, name: str | None) -> Channel:
        try:
            pool = pool or self._sentinel_pool()
            # Not `make_connection`: the pool counts what it makes, and stops at 100, however many were closed since.
            connection = pool.connection_class(**pool.connection_kwargs)
            connection.connect()
            channel = Channel(connection)
            channel.set_timeout(COMMAND_TIMEOUT)
        except redis.AuthenticationError as error:
            raise CommandError("AUTH", str(error)) from error
        except (redis.ConnectionError, redis.TimeoutError, MasterNotFoundError, OSError) as error:
            raise ServerUnavailable(f"no connection to {self.shown}: {error}") from error
        except redis.ResponseError as error:
            raise CommandError("HELLO", str(error)) from error
        if name is not None:
            _introduce(channel, name)
        return channel

    def _sentinel_pool(self) -> ConnectionPool:
        """A pool for the primary that the Sentinels name now."""
        sentinel = self._sentinel
        if sentinel is None:
            raise AssertionError
        finder = Sentinel(sentinel.hosts, socket_timeout=CONNECT_TIMEOUT)
        host, port = finder.discover_master(sentinel.service)
        return _pool(sentinel.url(str(host), int(port)), CONNECT_TIMEOUT)


def _introduce(channel: Channel, name: str) -> None:
    """Say whose connection it is.

    The name is a courtesy to whoever reads CLIENT LIST: some managed servers refuse CLIENT altogether. What Geartrain's
    own connections send is not hooked; a server without the module hooks nothing, and does not know the command.
    """
    commands: list[Command] = [("CLIENT", "SETNAME", name)]
    if name.startswith(OWN):
        commands.append(("GEARTRAIN.UNHOOKED",))
    channel.send(pack_all(commands))
    for _ in commands:
        channel.receive()


class _SentinelAddress:
    def __init__(self, scheme: str, hosts: list[tuple[str, int]], service: str, database: int, login: str) -> None:
        self.hosts = hosts
        self.service = service
        self.database = database
        self._scheme = scheme
        self._login = login
        self.query = ""

    def url(self, host: str, port: int) -> str:
        host = f"[{host}]" if ":" in host else host
        return f"{self._scheme}://{self._login}{host}:{port}/{self.database}{self.query}"


def _parse_sentinel(url: str, scheme: str) -> _SentinelAddress:
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    path = [unquote(piece) for piece in parts.path.split("/") if piece]
    if not path:
        raise ArgumentError(f"url: {url!r} names no Sentinel service; write redis+sentinel://host:port/SERVICE")
    database = int(path[1]) if len(path) > 1 else 0
    address = _SentinelAddress(scheme, [_host_port(item) for item in hosts.split(",")], path[0], database, login + at)
    query = parse_qs(parts.query)
    address.query = "?" + "&".join(f"{key}={quote(value[0])}" for key, value in query.items()) if query else ""
    return address


def _node_urls(url: str) -> list[str]:
    """A URL for each of the nodes that `url` names, separated by commas."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    if parts.scheme == "unix" or "," not in hosts:
        return [url]
    names = [name for name in hosts.split(",") if name]
    return [parts._replace(netloc=login + at + name).geturl() for name in names]


def _address(pool: ConnectionPool) -> Address:
    options = pool.connection_kwargs
    if "path" in options:
        return Address(str(options["path"]), 0)
    return Address(str(options.get("host") or "localhost"), int(options.get("port") or _DEFAULT_PORT))


def _host_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    return (host, int(port)) if colon else (text, 26379)


def _pool(url: str, timeout: float) -> ConnectionPool:
    options = _options(timeout)
    if url.startswith("unix:"):
        del options["socket_keepalive"]
    pool = ConnectionPool.from_url(url, **options)
    # Whatever a URL says of the protocol: replies would have other forms than those that are expected here.
    pool.connection_kwargs.update(_PROTOCOL)
    return pool


_PROTOCOL = {"protocol": 2} if int(redis.__version__.partition(".")[0]) >= 5 else {}
"""redis-py 4 speaks no other. It is what environments have whose packages ask for redis < 5, as RedisGears' did."""


def _options(timeout: float) -> dict[str, Any]:
    return {
        **_PROTOCOL,
        "decode_responses": False,
        "socket_connect_timeout": timeout,
        "socket_timeout": timeout,  # of the login and so on, each
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
    }
