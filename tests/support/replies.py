"""Replies of a server as bytes, made at random, in both versions of the protocol.

`stream_replies` are those of XREAD: streams with entries, of any names, fields and values; `one_stream`: of one stream.
`other_replies` are those of anything else, nested; `replies` are both. `pieces` cuts a text at random places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence

MANY = 36
"""Fields, more than whose names the extension remembers from one entry to the next."""

TEXTS = st.one_of(
    st.sampled_from([b"", b"streamId", b"a", b"b", b"\r\n", b"*2\r\n", b"$-1\r\n", b"\xff", b"\xed\xa0\x80", b"\x00"]),
    st.binary(max_size=6),
    st.text(max_size=4).map(lambda text: text.encode("utf-8", "replace")),
)


def bulk(text: bytes) -> bytes:
    """A string."""
    return b"$%d\r\n%s\r\n" % (len(text), text)


def array(items: Sequence[bytes], kind: bytes = b"*") -> bytes:
    """An array, or what has its form, of items that are encoded already."""
    return b"%s%d\r\n%s" % (kind, len(items), b"".join(items))


def _entry(name: bytes, fields: Sequence[bytes]) -> bytes:
    return array([bulk(name), array([bulk(text) for text in fields])])


def _streams(streams: Sequence[tuple[bytes, Sequence[bytes]]], *, resp3: bool) -> bytes:
    if resp3:
        return b"%%%d\r\n" % len(streams) + b"".join(bulk(name) + array(entries) for name, entries in streams)
    return array([array([bulk(name), array(entries)]) for name, entries in streams])


_IDS = st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 3)).map(lambda parts: b"%d-%d" % parts)
_FEW = st.lists(st.tuples(TEXTS, TEXTS), max_size=4).map(lambda pairs: [text for pair in pairs for text in pair])
_LONG = st.tuples(st.sampled_from([32, 33, MANY]), TEXTS).map(
    lambda drawn: [text for place in range(drawn[0]) for text in (b"f%d" % place, drawn[1])]
)
_FIELDS = st.one_of(*[_FEW] * 7, _LONG)


@st.composite
def _entries(draw: st.DrawFn) -> list[bytes]:
    """Entries that often have the same fields, as in most streams."""
    usual = draw(_FIELDS)
    fields = st.one_of(st.just(usual), st.just(usual), _FIELDS)
    return draw(st.lists(st.builds(_entry, _IDS, fields), min_size=1, max_size=5))


def _replies_of(most: int) -> st.SearchStrategy[bytes]:
    streams = st.lists(st.tuples(TEXTS, _entries()), min_size=1, max_size=most, unique_by=lambda stream: stream[0])
    return st.builds(_streams, streams, resp3=st.booleans())


stream_replies, one_stream = _replies_of(3), _replies_of(1)

_LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8).map(str.encode)

errors = _LINES.map(lambda line: b"-ERR %s\r\n" % line)

_SIMPLE = st.one_of(
    TEXTS.map(bulk),
    # Not `#f`: a reply that is false itself, which no command has, looks as if it had not come yet.
    st.sampled_from([b"$-1\r\n", b"*-1\r\n", b"_\r\n", b"#t\r\n", b",inf\r\n", b",-1.5e3\r\n", b"*0\r\n"]),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: b":%d\r\n" % number),
    st.integers(2**63, 2**80).map(lambda number: b"(%d\r\n" % number),
    _LINES.map(lambda line: b"+%s\r\n" % line),
    TEXTS.map(lambda text: b"=%d\r\ntxt:%s\r\n" % (len(text) + 4, text)),
    errors,
)


def _aggregates(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    keys = TEXTS.map(bulk)
    return st.one_of(
        st.builds(array, st.lists(inner, max_size=3)),
        st.builds(array, st.lists(inner, max_size=3), st.sampled_from([b"~", b">"])),
        st.builds(
            lambda pairs, kind: b"%s%d\r\n" % (kind, len(pairs)) + b"".join(map(b"".join, pairs)),
            st.lists(st.tuples(keys, inner), max_size=3, unique_by=lambda pair: pair[0]),
            st.sampled_from([b"%", b"|"]),
        ),
    )


other_replies = st.recursive(_SIMPLE, _aggregates, max_leaves=6)

replies = st.one_of(stream_replies, other_replies)


@st.composite
def pieces(draw: st.DrawFn, text: bytes) -> list[bytes]:
    """The text in pieces."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
