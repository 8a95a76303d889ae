"""The proxy that plays a failing network."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.proxy import Proxy
from support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def echo_server() -> Iterator[int]:
    """A server that sends back what it gets; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    def echo(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1000):
                    connection.sendall(data)
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy before an echo server."""
    with echo_server() as port, Proxy(port) as proxy:
        yield proxy


def connect(proxy: Proxy) -> socket.socket:
    """A client of the proxy."""
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def test_bytes_pass_in_both_directions(proxy):
    """A client gets the server's answer through the proxy."""
    with connect(proxy) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"


def test_a_paused_proxy_holds_bytes_back_and_passes_them_on_later(proxy):
    """Nothing arrives during a pause, and nothing is lost by it."""
    with connect(proxy) as client:
        client.sendall(b"before")
        assert client.recv(100) == b"before"
        proxy.pause()
        client.sendall(b"during")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)
        client.settimeout(5)
        proxy.resume()
        assert client.recv(100) == b"during"


def test_a_cut_resets_connections(proxy):
    """A client notices a cut at once, as an error or as an end."""
    with connect(proxy) as client:
        client.sendall(b"before")
        assert client.recv(100) == b"before"
        proxy.cut()
        assert ended(client)
    wait_for(lambda: proxy.connections == 0)


def test_new_connections_fail_until_the_network_is_back(proxy):
    """While the network is cut nobody gets through; after `resume` new connections work."""
    proxy.cut()
    assert refused(proxy)
    proxy.resume()
    with connect(proxy) as client:
        client.sendall(b"again")
        assert client.recv(100) == b"again"


def test_a_server_that_is_gone_ends_its_clients():
    """Where the server does not listen, a client is reset."""
    with echo_server() as port:
        gone = port
    with Proxy(gone) as proxy:
        assert refused(proxy)


def ended(client: socket.socket) -> bool:
    """Whether the connection has ended, by a reset or in order."""
    try:
        return client.recv(100) == b""
    except ConnectionError:
        return True


def refused(proxy: Proxy) -> bool:
    """Whether a new connection fails, or ends at once."""
    try:
        with connect(proxy) as client:
            return ended(client)
    except ConnectionError:
        return True
