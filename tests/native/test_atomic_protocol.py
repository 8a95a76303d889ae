"""GEARTRAIN.ATOMIC as bytes on a socket (native/atomic.h): whatever a client does, the server goes on."""

from __future__ import annotations

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from geartrain.errors import CommandError
from geartrain.wire import Endpoint, Link, pack
from support.hooks import captured, information, raw_entries, set_hook
from support.waiting import wait_for

SECONDS = float(os.environ.get("GEARTRAIN_FUZZ_SECONDS", "2"))


class Client:
    """A bare connection: what is sent and received are bytes."""

    def __init__(self, url):
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=10)

    def send(self, *command):
        """One command."""
        self.send_raw(pack(command))

    def send_raw(self, data):
        """Any bytes."""
        self._socket.sendall(data)

    def receive(self, count=1):
        """That many lines; fewer where the connection ends."""
        data = b""
        while data.count(b"\r\n") < count:
            more = self._socket.recv(65536)
            if not more:
                break
            data += more
        return data

    def ask(self, *command):
        """One command; what comes back."""
        self.send(*command)
        return self.receive()

    def close(self):
        """As a client that has gone."""
        self._socket.close()


@pytest.fixture
def open_client(db):
    """Makes bare connections to the server of `db`."""
    clients = []

    def make():
        clients.append(Client(db.endpoint.url))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(open_client):
    """A bare connection."""
    return open_client()


def test_a_block_is_ok_replies_and_end(db, client):
    """Each command's reply comes at once; the first command's reply is the last."""
    assert client.ask("GEARTRAIN.ATOMIC", 5000) == b"+OK\r\n"
    assert client.ask("SET", "k", 1) == b"+OK\r\n"
    assert client.ask("INCR", "k") == b":2\r\n"
    assert client.ask("NONSENSE").startswith(b"-ERR unknown command")
    assert client.ask("GET", "k", "more").startswith(b"-ERR wrong number of arguments")
    assert client.ask("LPUSH", "k", 1).startswith(b"-WRONGTYPE")
    client.send("LRANGE", "none", 0, -1)
    assert client.receive() == b"*0\r\n"
    assert client.ask("GEARTRAIN.ATOMIC", "END") == b"+END\r\n"
    assert client.ask("PING") == b"+PONG\r\n"
    assert db.call("GET", "k") == "2"


def test_others_wait_until_the_end(db, client, open_client):
    """What another client asks meanwhile is answered after the block."""
    other = open_client()
    client.ask("GEARTRAIN.ATOMIC", 5000)
    other.send("GET", "k")
    client.ask("SET", "k", 1)
    client.ask("SET", "k", 2)
    client.ask("GEARTRAIN.ATOMIC", "END")
    assert other.receive(2) == b"$1\r\n2\r\n"


def test_a_block_that_takes_too_long_is_ended(db, client):
    """The client is told, its connection is shut, what it did stays, and others are served in time."""
    begun = time.monotonic()
    client.ask("GEARTRAIN.ATOMIC", 50)
    client.ask("SET", "k", 1)
    assert db.call("GET", "k") == "1"
    assert time.monotonic() - begun < 5
    assert client.receive().startswith(b"-ATOMICTIMEOUT the block took longer than 50 ms")
    assert client.receive() == b""
    assert int(information(db, "geartrain")["geartrain_atomic_timeouts"]) >= 1


def test_a_client_that_vanishes_ends_its_block(db, client, open_client):
    """Before a command, within one, and with replies that it never reads."""
    for rest in (b"", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nxxx"):
        vanishing = open_client()
        vanishing.ask("GEARTRAIN.ATOMIC", 60_000)
        vanishing.ask("SET", "k", "kept")
        vanishing.send_raw(rest)
        vanishing.close()
        assert db.call("GET", "k") == "kept"
    deaf = open_client()
    db.call("SET", "big", "x" * (8 << 20))
    deaf.ask("GEARTRAIN.ATOMIC", 300)
    deaf.send("GET", "big")
    assert db.call("PING") == "PONG"


@pytest.mark.parametrize(
    "words",
    [("0",), ("-1",), ("60001",), ("x",), ("",), ("9" * 30,), ("END",), (), ("1", "2")],
    ids=lambda words: " ".join(words)[:20],
)
def test_wrong_arguments_begin_nothing(db, words):
    """A clear error; the connection is used as before."""
    with pytest.raises(CommandError, match=r"milliseconds, 1 to 60000|no atomic block to end|wrong number"):
        db.call("GEARTRAIN.ATOMIC", *words)
    assert db.call("PING") == "PONG"


def test_no_block_within_a_transaction_or_a_script(db):
    """Both are atomic already."""
    (reply,) = db.pipeline([("MULTI",), ("GEARTRAIN.ATOMIC", 100), ("EXEC",)])[-1]
    assert "within MULTI or a script" in reply.text
    with pytest.raises(CommandError, match="within MULTI or a script"):
        db.call("EVAL", "return redis.call('GEARTRAIN.ATOMIC', 100)", 0)


def test_what_belongs_to_a_connection_is_refused(db, client):
    """And what would block, begin a transaction or end the server."""
    client.ask("GEARTRAIN.ATOMIC", 5000)
    for words in [
        *(("MULTI",), ("EXEC",), ("WATCH", "k"), ("SUBSCRIBE", "c"), ("MONITOR",), ("AUTH", "x"), ("HELLO", 3)),
        *(("RESET",), ("QUIT",), ("PSYNC", "?", -1), ("SYNC",), ("REPLCONF", "capa", "eof"), ("SHUTDOWN",)),
        *(("CLIENT", "KILL", "TYPE", "normal"), ("DEBUG", "SLEEP", 0), ("EVAL", "return 1")),
    ]:
        assert client.ask(*words).startswith(b"-"), words
    assert client.ask("BLPOP", "none", 0) in {b"*-1\r\n", b"$-1\r\n", b"_\r\n"}
    assert client.ask("GEARTRAIN.ATOMIC", "END") == b"+END\r\n"
    assert db.call("PING") == "PONG"


def test_a_block_has_the_permissions_of_its_user(db, client):
    """Commands and keys that the user may not use are refused, one by one."""
    db.call("ACL", "SETUSER", "carol", "on", ">pw", "~mine:*", "+set", "+get", "+geartrain.atomic")
    client.ask("AUTH", "carol", "pw")
    assert client.ask("GEARTRAIN.ATOMIC", 5000) == b"+OK\r\n"
    assert client.ask("SET", "mine:k", 1) == b"+OK\r\n"
    assert client.ask("SET", "yours:k", 1).startswith(b"-NOPERM")
    assert client.ask("DEL", "mine:k").startswith(b"-NOPERM")
    assert client.ask("GEARTRAIN.ATOMIC", "END") == b"+END\r\n"
    assert db.call("KEYS", "*") == ["mine:k"]


def test_a_block_respects_maxmemory(db, client):
    """As any client's commands."""
    db.call("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "noeviction")
    client.ask("GEARTRAIN.ATOMIC", 5000)
    assert client.ask("SET", "k", "v").startswith(b"-OOM")
    assert client.ask("GET", "k") == b"$-1\r\n"
    client.ask("GEARTRAIN.ATOMIC", "END")


def test_a_block_s_events_are_captured(db, client):
    """When it ends, in order."""
    set_hook(db)
    client.ask("GEARTRAIN.ATOMIC", 5000)
    for words in (("SET", "a", 1), ("SET", "b", 1), ("DEL", "a")):
        client.ask(*words)
    client.ask("GEARTRAIN.ATOMIC", "END")
    assert captured(db) == [("set", b"a"), ("set", b"b"), ("del", b"a")]


def test_a_block_is_one_unit_on_replicas(module_server, own, replicate, module_flavour):
    """Writes and entries of a block are there, the same on both sides."""
    set_hook(own)
    _, replica = replicate(module_server, module_flavour)
    with closing(Client(module_server.url)) as client:
        client.ask("GEARTRAIN.ATOMIC", 5000)
        client.ask("SET", "a", 1)
        client.ask("INCR", "a")
        client.ask("GEARTRAIN.ATOMIC", "END")
    wait_for(lambda: raw_entries(replica) == raw_entries(own))
    assert replica.call("GET", "a") == "2"


def test_blocks_of_many_clients_with_threads_for_their_connections(fresh_server, module_flavour, connect):
    """io-threads: sockets belong to the block while it lasts; each block reads what the one before has written."""
    server = fresh_server(module_flavour, module={}, options={"io-threads": "3"})

    def count():
        with Link(Endpoint(server.url)) as link:
            for _ in range(100):
                link.call("GEARTRAIN.ATOMIC", 10_000)
                link.call("SET", "n", int(link.call("GET", "n") or 0) + 1)
                link.call("GEARTRAIN.ATOMIC", "END")

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(count) for _ in range(4)]:
            done.result()
    assert connect(server).call("GET", "n") == "400"


def test_garbage_ends_the_block_only(db, open_client, seed):
    """Random bytes and broken commands: an error, and everybody else is served."""
    words = [
        b"*",
        b"$",
        b"1",
        b"3",
        b"-1",
        b"99999999999999999999",
        b"\r\n",
        b"\n",
        b"\r",
        b"SET",
        b"k",
        b"\x00",
        b"\xff",
    ]
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        client = open_client()
        assert client.ask("GEARTRAIN.ATOMIC", 40) == b"+OK\r\n"
        for _ in range(seed.randrange(4)):
            data = b"".join(seed.choices(words, k=seed.randrange(1, 12)))
            try:
                client.send_raw(
                    seed.choice([data, seed.randbytes(20), pack(("SET", "k", "v"))[: seed.randrange(1, 30)]])
                )
            except OSError:
                break  # it was shut meanwhile
        client.close()
        assert db.call("PING") == "PONG"


def test_large_commands_and_many_small_ones(db, client):
    """A megabyte in one argument, and a thousand commands."""
    client.ask("GEARTRAIN.ATOMIC", 20_000)
    assert client.ask("SET", "big", "x" * (1 << 20)) == b"+OK\r\n"
    assert client.ask("RPUSH", "l", *range(10_000)) == b":10000\r\n"
    for number in range(1000):
        assert client.ask("INCR", "n") == b":%d\r\n" % (number + 1)
    assert client.ask("GEARTRAIN.ATOMIC", "END") == b"+END\r\n"
    assert db.call("STRLEN", "big") == 1 << 20
