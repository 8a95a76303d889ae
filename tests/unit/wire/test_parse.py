"""Replies that are kept as bytes (snapshots of values), back to what they were."""

from __future__ import annotations

import pytest

from geartrain.readers.values import encoded_value
from geartrain.wire import parse

WHOLE = [
    (b"$4\r\ntext\r\n", "text"),
    (b"$0\r\n\r\n", ""),
    (b"$3\r\n\xff\r\n\r\n", b"\xff\r\n"),
    (b"$-1\r\n", None),
    (b":5\r\n", 5),
    (b"*0\r\n", []),
    (b"*2\r\n$1\r\na\r\n*1\r\n$1\r\n\xfe\r\n", ["a", [b"\xfe"]]),
]

BROKEN = [b"", b"$4\r\nte", b"*2\r\n$1\r\na\r\n", b"text", b"$1\r\na\r\n$1\r\nb\r\n", b"\x00\xff"]


@pytest.mark.parametrize(("encoded", "expected"), WHOLE)
def test_a_whole_reply_is_what_a_connection_would_give(encoded, expected):
    """Text where it is valid UTF-8, bytes where it is not."""
    assert parse(encoded) == expected


@pytest.mark.parametrize("encoded", BROKEN)
def test_anything_else_is_refused_and_does_no_harm_to_the_next(encoded):
    """Nothing of it is left in the parser."""
    with pytest.raises(ValueError, match="is no reply of a server"):
        parse(encoded)
    assert parse(b"$1\r\nx\r\n") == "x"


@pytest.mark.parametrize(
    ("kind", "encoded", "value"),
    [
        ("string", b"$1\r\nx\r\n", "x"),
        ("hash", b"*2\r\n$1\r\nf\r\n$1\r\nv\r\n", {"f": "v"}),
        ("set", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", {"a", "b"}),
        ("zset", b"*2\r\n$1\r\nm\r\n$3\r\n1.5\r\n", {"m": 1.5}),
        ("stream", b"*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n", [("1-1", {"f": "v"})]),
    ],
)
def test_values_have_the_form_that_they_have_where_they_are_read(kind, encoded, value):
    """Each type as in `readers.values`."""
    assert encoded_value(kind, encoded) == value
