"""Keys' types and values, read from real servers."""

from __future__ import annotations

import threading

import pytest

from geartrain.errors import CommandError
from geartrain.readers.values import read_values
from geartrain.wire import Endpoint, Link

ALL_BYTES = bytes(range(256))


def test_each_type_has_its_value(link):
    """Every type of the specification comes as the Python value that the table says."""
    link.pipeline(
        [
            ("SET", "text", "héllo"),
            ("HSET", "hash", "a", 1, "b", 2),
            ("RPUSH", "list", "x", "y", "x"),
            ("SADD", "set", "x", "y"),
            ("ZADD", "zset", "2.5", "middle", "-inf", "first", "inf", "last"),
            ("XADD", "stream", "1-1", "f", "v"),
            ("XADD", "stream", "2-1", "f", "w"),
        ]
    )
    found = read_values(link, ["text", "hash", "list", "set", "zset", "stream", "missing"])
    assert found == [
        ("string", "héllo"),
        ("hash", {"a": "1", "b": "2"}),
        ("list", ["x", "y", "x"]),
        ("set", {"x", "y"}),
        ("zset", {"first": float("-inf"), "middle": 2.5, "last": float("inf")}),
        ("stream", [("1-1", {"f": "v"}), ("2-1", {"f": "w"})]),
        ("none", None),
    ]
    assert list(found[4][1]) == ["first", "middle", "last"]


def test_all_256_bytes_survive_in_keys_fields_and_values(link):
    """What is not valid UTF-8 comes as bytes, wherever it stands, and names the same key when it goes back."""
    link.pipeline(
        [
            ("SET", ALL_BYTES, ALL_BYTES),
            ("HSET", "hash", ALL_BYTES, ALL_BYTES),
            ("RPUSH", "list", ALL_BYTES),
            ("SADD", "set", ALL_BYTES),
            ("ZADD", "zset", 1, ALL_BYTES),
            ("XADD", "stream", "1-1", ALL_BYTES, ALL_BYTES),
        ]
    )
    values = [value for _, value in read_values(link, [ALL_BYTES, "hash", "list", "set", "zset", "stream"])]
    assert values == [
        ALL_BYTES,
        {ALL_BYTES: ALL_BYTES},
        [ALL_BYTES],
        {ALL_BYTES},
        {ALL_BYTES: 1.0},
        [("1-1", {ALL_BYTES: ALL_BYTES})],
    ]


def test_empty_values_are_values(valkey):
    """An empty string and a stream without entries are there, with their type."""
    with Link(Endpoint(valkey.url)) as link:
        link.pipeline([("SET", "text", ""), ("XADD", "stream", "1-1", "f", "v"), ("XDEL", "stream", "1-1")])
        assert read_values(link, ["text", "stream"]) == [("string", ""), ("stream", [])]


def test_without_values_only_types_are_read(valkey):
    """`values=False` gives the types, and None for every value."""
    with Link(Endpoint(valkey.url)) as link:
        link.pipeline([("SET", "text", "x"), ("RPUSH", "list", "y")])
        assert read_values(link, ["text", "list", "missing"], values=False) == [
            ("string", None),
            ("list", None),
            ("none", None),
        ]


def test_a_key_that_changes_its_type_all_the_time_is_never_seen_half(valkey):
    """Type and value always belong together, also while somebody replaces the key by one of another type."""
    stop = threading.Event()

    def change() -> None:
        with Link(Endpoint(valkey.url)) as other:
            while not stop.is_set():
                for command in (("SET", "k", "text"), ("DEL", "k"), ("RPUSH", "k", "item"), ("DEL", "k")):
                    other.call(*command)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        with Link(Endpoint(valkey.url)) as link:
            seen = [pair for _ in range(200) for pair in read_values(link, ["k"] * 5)]
    finally:
        stop.set()
        thread.join()
    allowed = [("string", "text"), ("list", ["item"]), ("none", None)]
    assert all(pair in allowed for pair in seen)
    assert len({kind for kind, _ in seen}) > 1


def test_a_key_that_may_not_be_read_is_an_error(valkey):
    """The server's refusal is raised, with the command that it refused."""
    with Link(Endpoint(valkey.url)) as link:
        link.pipeline([("SET", "k", "v"), ("ACL", "SETUSER", "limited", "on", ">pw", "~*", "+type")])
        limited = valkey.url.replace("redis://", "redis://limited:pw@")
        with Link(Endpoint(limited)) as refused, pytest.raises(CommandError, match="GET: NOPERM"):
            read_values(refused, ["k"])
