"""Every form of URL reaches a server: TCP, Unix socket, user and database, TLS, Sentinel."""

from __future__ import annotations

import contextlib
import socket
import subprocess

import pytest

from geartrain.errors import ArgumentError, CommandError, ServerUnavailable
from geartrain.server import EmbeddedServer, find_binary
from geartrain.server.configuration import free_port
from geartrain.wire import Endpoint, Link
from support.waiting import wait_for


def answer(url):
    """What the server at `url` says."""
    with Link(Endpoint(url)) as link:
        return link.call("ECHO", "here")


def test_a_unix_socket(tmp_path_factory):
    """`unix:///path?db=N`."""
    path = tmp_path_factory.mktemp("s") / "socket"
    with EmbeddedServer.start(unix_socket=path), Link(Endpoint(f"unix://{path}?db=3")) as link:
        link.call("SET", "k", "v")
        assert link.endpoint.database == 3
        assert "db=3" in link.call("CLIENT", "INFO")


def test_connections_do_not_run_out(valkey):
    """A worker that runs for months, on a network that fails now and then, makes any number of them."""
    endpoint = Endpoint(valkey.url)
    for _ in range(250):
        endpoint.connect().close()
    assert endpoint.connect().request(("PING",)) == "PONG"


def test_a_user_with_a_password_and_a_database(valkey):
    """Special characters are percent-encoded in the URL; the password is shown nowhere."""
    with Link(Endpoint(valkey.url)) as link:
        link.call("ACL", "SETUSER", "worker", "on", ">p@ss/word", "~*", "&*", "+@all")
    endpoint = Endpoint(valkey.url.replace("redis://", "redis://worker:p%40ss%2Fword@") + "/2")
    with Link(endpoint, "geartrain:test") as link:
        assert link.call("ACL", "WHOAMI") == "worker"
        info = link.call("CLIENT", "INFO")
    assert "db=2" in info
    assert "name=geartrain:test" in info
    assert endpoint.shown == valkey.url.replace("redis://", "redis://worker:***@") + "/2"


def test_a_wrong_password_and_a_database_that_is_not_there_are_refusals(valkey):
    """The server is reachable: no ServerUnavailable, but its own words."""
    with pytest.raises(CommandError, match="AUTH: invalid username-password"):
        answer(valkey.url.replace("redis://", "redis://nobody:wrong@"))
    with pytest.raises(CommandError, match="out of range"):
        answer(valkey.url + "/99")


@pytest.mark.parametrize("url", ["", "localhost", "http://x", "redis://x:port", "redis+sentinel://h:1"])
def test_what_is_no_address_is_a_wrong_argument(url):
    """At once, not at the first connection."""
    with pytest.raises(ArgumentError, match="url: "):
        Endpoint(url)


@pytest.fixture
def sentinel(valkey, tmp_path):
    """The port of a Sentinel that watches `valkey` under the name `primary`."""
    port = free_port()
    path = tmp_path / "sentinel.conf"
    path.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nlogfile {tmp_path}/log\n"
        f"sentinel monitor primary 127.0.0.1 {valkey.port} 1\n"
    )
    process = subprocess.Popen([find_binary(), path, "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: _is_open(port), message="the Sentinel answers")
        yield port
    finally:
        process.kill()
        process.wait()


def _is_open(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def test_a_sentinel_names_the_primary(valkey, sentinel):
    """The first Sentinel that answers does; the database is the URL's."""
    url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel}/primary/1"
    with Link(Endpoint(url)) as link:
        assert link.call("CONFIG", "GET", "port") == ["port", str(valkey.port)]
        assert "db=1" in link.call("CLIENT", "INFO")


def test_a_sentinel_that_knows_no_such_service_is_no_server(sentinel):
    """A primary that is not known now may be known later: ServerUnavailable."""
    with pytest.raises(ServerUnavailable, match="other"):
        answer(f"redis+sentinel://127.0.0.1:{sentinel}/other")


def test_tls_with_the_certificate_that_the_url_names(tls_port, certificate):
    """`rediss://` with redis-py's options."""
    assert answer(f"rediss://127.0.0.1:{tls_port}?ssl_ca_certs={certificate.path}") == "here"


def test_tls_with_a_certificate_that_nobody_vouches_for_is_refused(tls_port):
    """Certificates are checked unless the URL says otherwise."""
    with pytest.raises(ServerUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        answer(f"rediss://127.0.0.1:{tls_port}")
    assert answer(f"rediss://127.0.0.1:{tls_port}?ssl_cert_reqs=none") == "here"


def test_the_protocol_is_ours_to_choose(valkey):
    """What a URL for redis-py says of it changes no reply's form."""
    with Link(Endpoint(f"{valkey.url}?protocol=3")) as link:
        assert link.call("CONFIG", "GET", "port") == ["port", str(valkey.port)]
