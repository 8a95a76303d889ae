"""The readers of `run()`, on real servers."""

from __future__ import annotations

from itertools import chain

import pytest

from geartrain.builder import Reader, RunRequest
from geartrain.config import Dialect
from geartrain.errors import ArgumentError, CommandError
from geartrain.readers import batches
from geartrain.wire import Endpoint, Link

ALL_BYTES = bytes(range(256))


def read(link, reader, pattern="*", dialect=Dialect.GEARTRAIN, **options):
    """The records that a `run()` would work on."""
    return list(chain.from_iterable(batches(RunRequest(reader=reader, pattern=pattern, **options), link, dialect)))


@pytest.fixture
def link(valkey):
    """A connection to Valkey."""
    with Link(Endpoint(valkey.url)) as link:
        yield link


@pytest.mark.parametrize("reader", [Reader.KEYS, Reader.KEYS_ONLY])
def test_every_key_comes_once(link, reader):
    """More keys than one page holds come completely, each once, also while the server resizes its table."""
    link.pipeline([("SET", f"k:{number}", number) for number in range(5000)])
    link.pipeline([("DEL", f"k:{number}") for number in range(1000, 5000)])
    found = [record["key"] if reader is Reader.KEYS else record for record in read(link, reader)]
    assert len(found) == 1000
    assert set(found) == {f"k:{number}" for number in range(1000)}


def test_a_keys_record_has_the_four_fields(link):
    """A record of run() has key, value and type, and no event."""
    link.call("SET", "k", "v")
    assert read(link, Reader.KEYS, "k*") == [{"key": "k", "value": "v", "type": "string", "event": None}]


def test_without_read_value_the_value_is_none_and_the_type_is_there(link):
    """`readValue=False` reads types only."""
    link.call("HSET", "k", "f", "v")
    assert read(link, Reader.KEYS, read_value=False) == [{"key": "k", "value": None, "type": "hash", "event": None}]


def test_a_pattern_is_a_glob_of_the_server(link):
    """What SCAN MATCH gives is what is read, `?`, classes and escapes included."""
    link.pipeline([("SET", key, 1) for key in ("a1", "a2", "b1", "a*", "ab1")])
    assert sorted(read(link, Reader.KEYS_ONLY, "a?")) == ["a*", "a1", "a2"]
    assert sorted(read(link, Reader.KEYS_ONLY, "[ab]1")) == ["a1", "b1"]
    assert read(link, Reader.KEYS_ONLY, r"a\*") == ["a*"]


def test_no_scan_takes_the_pattern_literally(link):
    """With noScan a name that looks like a pattern is one key's name, and a key that is missing gives no record."""
    link.pipeline([("SET", "a*", "star"), ("SET", "ab", "other")])
    assert [record["value"] for record in read(link, Reader.KEYS, "a*", no_scan=True)] == ["star"]
    assert read(link, Reader.KEYS, "missing", no_scan=True) == []


def test_an_exact_name_that_is_missing_gives_nothing(link):
    """A pattern without anything special is looked up, not scanned for; where there is no such key, nothing comes."""
    link.call("SET", "there", "v")
    assert read(link, Reader.KEYS, "missing") == []
    assert read(link, Reader.KEYS_ONLY, "missing") == []
    assert read(link, Reader.KEYS_ONLY, "there") == ["there"]


def test_own_keys_are_left_out(link):
    """Keys under `geartrain:` are nobody's data."""
    link.pipeline([("SET", "geartrain:{registry}:version", 1), ("SET", "geartrains", 1)])
    assert read(link, Reader.KEYS_ONLY) == ["geartrains"]
    assert read(link, Reader.KEYS, "geartrain:{registry}:version", no_scan=True) == []


def test_names_of_all_256_bytes_come_as_bytes(link):
    """A key's name that is not valid UTF-8 is bytes, and its value is found."""
    link.call("SET", ALL_BYTES, "v")
    assert read(link, Reader.KEYS) == [{"key": ALL_BYTES, "value": "v", "type": "string", "event": None}]


def test_streams_come_in_the_order_of_their_names(link):
    """All streams that match, by name, each completely (more than a page); keys of other types are left out."""
    link.pipeline([("XADD", "s:b", f"{number}-1", "n", number) for number in range(1, 2501)])
    link.pipeline([("XADD", "s:a", "7-1", "n", "first"), ("SET", "s:string", "x"), ("XADD", "other", "1-1", "n", 0)])
    found = read(link, Reader.STREAM, "s:*")
    assert found[0] == {"streamId": "7-1", "n": "first"}
    assert [int(record["n"]) for record in found[1:]] == list(range(1, 2501))


def test_a_stream_is_read_from_an_id_on(link):
    """`fromId` is the first id that is read."""
    link.pipeline([("XADD", "s", f"{number}-1", "n", number) for number in range(1, 6)])
    assert [record["streamId"] for record in read(link, Reader.STREAM, "s", from_id="3-1")] == ["3-1", "4-1", "5-1"]


def test_an_exact_name_that_is_no_stream_is_an_error(link):
    """The user named one key: that it holds something else is no reason to be silent."""
    link.call("SET", "s", "x")
    with pytest.raises(CommandError, match="WRONGTYPE"):
        read(link, Reader.STREAM, "s")


def test_the_dialect_gives_the_record_format(link):
    """`redisgears-1.2` has key, id and value."""
    link.call("XADD", "s", "1-1", "f", ALL_BYTES)
    assert read(link, Reader.STREAM, "s", Dialect.REDISGEARS_1_2) == [
        {"key": "s", "id": "1-1", "value": {"f": ALL_BYTES}}
    ]


def test_a_python_reader_takes_what_a_function_yields_or_returns(link):
    """A generator function, or any function without arguments that returns an iterable."""

    def generator():
        yield 1
        yield 2

    assert read(link, Reader.PYTHON, source=generator) == [1, 2]
    assert read(link, Reader.PYTHON, source=lambda: [3, 4]) == [3, 4]
    with pytest.raises(ArgumentError, match="returned 5; it must yield records or return a list"):
        read(link, Reader.PYTHON, source=lambda: 5)
