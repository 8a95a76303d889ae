"""A server's address, as users write it, and how a connection to it is made.

    redis://[user:password@]host[:port][/db]      rediss://... for TLS (redis-py's query options, such as ssl_ca_certs)
    redis://[user:password@]host:port,host:port   several nodes of a cluster: the first that answers will do
    unix://[user:password@]/path/to/socket[?db=N]
    redis+sentinel://[user:password@]host:port[,host:port...]/service[/db]      (rediss+sentinel:// for TLS)

redis-py parses the URL, connects, authenticates and speaks TLS (`dialing`); after that the connection is a `Channel`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote, urlsplit

from geartrain.errors import ArgumentError, ServerUnavailable
from geartrain.wire.channel import Channel, Command, pack_all

if TYPE_CHECKING:
    from redis.connection import ConnectionPool

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
        # redis-py takes 0.1 s, and the server's interpreter, which has no addresses, no use for it.
        from geartrain.wire import dialing  # noqa: PLC0415

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
            self._pools = [dialing.pool(item, connect_timeout) for item in urls]
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
        from geartrain.wire import dialing  # noqa: PLC0415 - see `__init__`

        with dialing.explained(self.shown):
            channel = dialing.dial(pool or self._sentinel_pool())
            channel.set_timeout(COMMAND_TIMEOUT)
        if name is not None:
            _introduce(channel, name)
        return channel

    def _sentinel_pool(self) -> ConnectionPool:
        """A pool for the primary that the Sentinels name now."""
        from geartrain.wire import dialing  # noqa: PLC0415 - see `__init__`

        sentinel = self._sentinel
        if sentinel is None:
            raise AssertionError
        host, port = dialing.primary(sentinel.hosts, sentinel.service, CONNECT_TIMEOUT)
        return dialing.pool(sentinel.url(host, port), CONNECT_TIMEOUT)


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
