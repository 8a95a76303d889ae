"""Values of Python as RESP3, checked by hiredis, which parses it."""

from __future__ import annotations

import enum
import math

import hiredis
import pytest

from geartrain.resp3 import NULL, Encoded, Error, Status, encode, encode_array


def parsed(data):
    """What a client makes of it."""
    reader = hiredis.Reader()
    reader.feed(data)
    reply = reader.gets()
    assert not reader.has_data()
    return reply


class Loud(str):
    """A str of a user's own."""

    __slots__ = ()


class Bad:
    """What cannot say what it is."""

    def __str__(self):
        raise ValueError("no")


class Number(enum.IntEnum):
    """An int of a user's own."""

    TWO = 2


@pytest.mark.parametrize(
    ("value", "reply"),
    [
        ("ü\r\n", "ü\r\n".encode()),
        ("", b""),
        (b"\xff\x00", b"\xff\x00"),
        (bytearray(b"ab"), b"ab"),
        (7, 7),
        (-(2**63), -(2**63)),
        (2**64, b"%d" % 2**64),
        (Number.TWO, 2),
        (1.5, 1.5),
        (math.inf, math.inf),
        (True, True),
        (None, None),
        ([1, ["a", None], ()], [1, [b"a", None], []]),
        ({"a": {1: 2}}, [(b"a", [(1, 2)])]),
        ({3}, [3]),
        (Loud("x"), b"x"),
        (Status("OK"), b"OK"),
        ("\udcff", rb"\udcff"),
    ],
    ids=repr,
)
def test_a_value_comes_to_the_client_as_it_was(value, reply):
    """Maps arrive as pairs, where hiredis gives pairs."""
    got = parsed(encode(value))
    assert (list(got.items()) if isinstance(got, dict) else got) == _pairs(reply)


def _pairs(reply):
    """As hiredis gives nested maps."""
    match reply:
        case [(name, [(key, value)])]:
            return [(name, {key: value})]
        case _:
            return reply


def test_an_error_is_one_line():
    """Also inside of arrays."""
    assert encode([Error("ERR two\r\nlines")]) == b"*1\r\n-ERR two  lines\r\n"


def test_what_is_neither_is_sent_as_its_text():
    """And what has no text is sent nevertheless."""
    assert parsed(encode(3j)) == b"3j"
    assert b"ValueError" in encode(Bad())


def test_what_is_encoded_stays_as_it_is():
    """Results that were kept are answered so."""
    assert encode([Encoded(b"*1\r\n:1\r\n"), 2]) == b"*2\r\n*1\r\n:1\r\n:2\r\n"


def test_an_array_takes_any_iterable():
    """As results come."""
    assert encode_array(iter([None])) == b"*1\r\n" + NULL
