"""Replies are the same whether the extension or hiredis reads them: any replies, in any pieces; so are records."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.config import Dialect
from geartrain.errors import ServerUnavailable
from geartrain.extension import extension
from geartrain.readers.entries import id_of, joined, records_of, size_of
from geartrain.text import restore
from geartrain.wire import channel as wire
from geartrain.wire.channel import Channel, ErrorReply
from support.replies import array, bulk, errors, one_stream, other_replies, pieces, replies, stream_replies

if extension is None:
    pytest.skip("the extension is not installed, or left out", allow_module_level=True)

USUAL_COUNT = settings.default.max_examples

LISTS = st.lists(replies, min_size=1, max_size=4)


def plain(value):
    """A reply in a form that tells apart all that users can: types too, and what errors say."""
    if isinstance(value, ErrorReply):
        return ("error", value.text)
    if isinstance(value, dict):
        return ["list", *(["list", plain(name), plain(item)] for name, item in value.items())]
    if isinstance(value, list | tuple | extension.Entries):
        # A pair is a tuple or a list, a map of streams a list of pairs: as those who read streams take them.
        kind = "push" if isinstance(value, wire.Push) else "list"
        return [kind, *map(plain, value)]
    return (type(value).__name__, repr(value))


class Side:
    """One of the two: bytes in, replies out. To be given all bytes before the other one is given any (`text.restore`).

    Attributes:
        replies: what came out so far.
        counts: how many replies there were after each piece.
        refused: whether it has said that this is no reply.
    """

    def __init__(self, reader, pieces=()):
        self.reader = reader
        self.replies = []
        self.counts = []
        self.refused = False
        for piece in pieces:
            self.feed(piece)
            self.counts.append(len(self.replies))

    def feed(self, text):
        """Take every reply that is whole with these bytes."""
        if self.refused:
            return
        self.reader.feed(text)
        try:
            while (reply := self.reader.gets()) is not ...:
                self.replies.append(restore(reply))
        # TypeError: a map of which a name is an array, which Python's dicts cannot have.
        except (ServerUnavailable, ValueError, TypeError):
            self.refused = True


def sides(*texts):
    """The extension, and its twin, with these bytes."""
    return Side(extension.Reader(wire._parse_received), texts), Side(wire._reader(), texts)


def check_equal(texts):
    """Both give the same replies at the same moments."""
    native, python = sides(*texts)
    assert (native.refused, python.refused) == (False, False)
    assert native.counts == python.counts
    assert [plain(reply) for reply in native.replies] == [plain(reply) for reply in python.replies]
    assert (native.reader.has_data(), python.reader.has_data()) == (False, False)


@given(st.data(), LISTS)
def test_replies_are_the_same_however_they_are_cut(data, items):
    """Several of them in a row, whole and in pieces, which end within one and hold more than one."""
    text = b"".join(items)
    check_equal([text])
    check_equal(data.draw(pieces(text)))


@given(LISTS)
@settings(max_examples=USUAL_COUNT // 3)
def test_replies_are_the_same_byte_by_byte(items):
    """Nothing is given out too early, nor kept back."""
    check_equal([bytes([byte]) for byte in b"".join(items)])


@given(st.lists(replies, min_size=1, max_size=2).map(b"".join).filter(lambda text: len(text) < 600))
@settings(max_examples=USUAL_COUNT // 5)
def test_replies_are_the_same_cut_at_every_point(text):
    """Each point in turn."""
    for cut in range(len(text) + 1):
        check_equal([text[:cut], text[cut:]])


@pytest.mark.parametrize("text", [b"#f\r\n", b"_\r\n", b"*0\r\n", b":0\r\n", b"$0\r\n\r\n", b"%0\r\n"])
def test_a_reply_that_is_nothing_much_is_a_reply(text):
    """False, None, 0 and what is empty are not "not yet"."""
    check_equal([text, text])
    native, _ = sides(text, text)
    assert native.counts == [1, 2]
    assert plain(wire.parse(text)) == plain(native.replies[0])


@given(stream_replies)
def test_entries_are_made_of_the_replies_of_xread(reply):
    """Not lists: the comparison above would be one of hiredis with itself."""
    native, _ = sides(reply)
    assert [type(entries) for _, entries in native.replies[0]] == [extension.Entries] * len(native.replies[0])


def entries_of(reply):
    """Of a reply with one stream: (its name, its entries from the extension, the same from hiredis)."""
    native, python = sides(reply)
    ((name, entries),) = native.replies[0]
    found = python.replies[0]
    ((_, twin),) = found.items() if isinstance(found, dict) else found
    return name, entries, twin


SLICES = st.builds(slice, st.none() | st.integers(-7, 7), st.none() | st.integers(-7, 7))


def check_records(name, entries, twin):
    """The same records, of plain dicts, with their fields in the same order."""
    for dialect in Dialect:
        made, expected = records_of(entries, name, dialect), records_of(twin, name, dialect)
        assert made == expected
        assert {type(record) for record in made} <= {dict}
        assert [list(record) for record in made] == [list(record) for record in expected]
        values = [record.get("value") for record in made if isinstance(record.get("value"), dict)]
        assert dialect is not Dialect.REDISGEARS_1_2 or len(values) == len(made)


@given(one_stream, st.lists(SLICES, min_size=2, max_size=4))
def test_entries_are_the_same_sequence_and_the_same_records(reply, slices):
    """Whole, sliced, sliced again, and joined."""
    name, entries, twin = entries_of(reply)
    check_records(name, entries, twin)
    for part in slices:
        piece, expected = entries[part], twin[part]
        assert (len(piece), list(piece)) == (len(expected), expected)
        check_records(name, piece, expected)
        again = joined(piece, entries)
        assert type(again) is extension.Entries
        assert list(again) == joined(expected, twin)
        check_records(name, again, joined(expected, twin))
        assert list(joined(piece, expected)) == list(joined(expected, piece)) == expected * 2
        if expected:
            entries, twin = piece, expected


@given(one_stream, st.integers(-7, 7))
def test_entries_have_the_indexes_of_a_list(reply, index):
    """Negative ones too, and IndexError where there is none; only the step of a slice is 1."""
    _, entries, twin = entries_of(reply)
    if -len(twin) <= index < len(twin):
        assert entries[index] == twin[index]
        assert id_of(entries, index) == id_of(twin, index) == twin[index][0]
    else:
        for look in (entries.__getitem__, entries.id):
            with pytest.raises(IndexError, match="there is no such entry"):
                look(index)
    if index not in (0, 1):
        with pytest.raises(ValueError, match="step of a slice of entries must be 1"):
            _ = entries[::index]


@given(one_stream)
def test_entries_have_a_size(reply):
    """The bytes that they take, of parts too: what a worker bounds its memory by."""
    _, entries, twin = entries_of(reply)
    assert 0 < size_of(entries) < len(reply)
    assert size_of(twin) > 0
    assert sum(size_of(entries[index : index + 1]) for index in range(len(entries))) == size_of(entries)
    assert size_of(entries[:0]) == 0


def test_entries_outlive_their_reader_and_each_other():
    """What a slice is of may go."""
    reader = extension.Reader(wire.parse)
    reader.feed(array([array([bulk(b"s"), array([array([bulk(b"1-1"), array([bulk(b"a"), bulk(b"x")])])] * 3)])]))
    ((_, entries),) = reader.gets()
    reader.feed(b"+something else\r\n" * 1000)
    del reader
    piece = entries[1:][1:]
    del entries
    assert list(piece + piece[:0]) == [["1-1", ["a", "x"]]]


# -- what no server sends ----------------------------------------------------------------------------------------------

NOISE = st.lists(st.sampled_from([b"*", b"$", b"%", b"-", b"0", b"7", b"12", b"\r\n", b"\r", b"\n", b":", b"|", b"!"]))


@st.composite
def garbled(draw):
    """Replies of which something was changed, left out or put in."""
    text = b"".join(draw(LISTS))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        noise = draw(st.one_of(st.binary(max_size=3), NOISE.map(b"".join).filter(lambda noise: len(noise) < 4)))
        text = text[:at] + noise + text[at + draw(st.integers(0, 3)) :]
    return text


@given(st.data(), st.one_of(st.binary(max_size=40), garbled(), NOISE.map(b"".join)))
@settings(max_examples=3 * USUAL_COUNT)
def test_garbage_is_refused_or_waited_for_by_both(data, text):
    """The extension may wait where hiredis refuses already; neither gives a reply that the other does not."""
    native, python = sides(*data.draw(pieces(text)))
    given_by = [[plain(reply) for reply in side.replies] for side in (native, python)]
    if native.refused or python.refused:
        shorter = min(map(len, given_by))
        assert given_by[0][:shorter] == given_by[1][:shorter]
        assert len(given_by[0]) <= len(given_by[1])
    else:
        assert given_by[0] == given_by[1]


@pytest.mark.parametrize(
    "text",
    [
        b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$-0\r\n\r\n*0\r\n",
        b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*-0\r\n",
        b"*1\r\n*2\r\n$01\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*0\r\n",
        b"*1\r\n%99999999999\r\n",
        b"!3\r\nERR\r\n",
        b"\x00",
        b"\x005\r\nabcde\r\n",
        b"*999999999999999999999\r\n",
    ],
)
def test_numbers_and_types_that_are_none_are_refused(text):
    """As hiredis does, before anything is made of them."""
    native, python = sides(text)
    assert (native.refused, python.refused) == (True, True)
    assert native.replies == python.replies == []


@pytest.mark.parametrize(
    ("data", "offset", "length"), [(b"abc", 4, -1), (b"abc", -1, 2), (b"abc", 2, 2), (b"abc", 1, 2**63 - 1)]
)
def test_only_bytes_that_are_there_are_fed(data, offset, length):
    """Whatever the numbers."""
    with pytest.raises(ValueError, match="there are no"):
        extension.Reader(wire.parse).feed(data, offset, length)


def test_an_empty_piece_changes_nothing():
    """Nor is there a reply in it."""
    reader = extension.Reader(wire.parse)
    reader.feed(b"")
    assert (reader.gets(), reader.has_data(), reader.skim(0), reader.skim(3)) == (..., False, (0, None), (0, None))


# -- errors alone ------------------------------------------------------------------------------------------------------

MIXED = st.lists(st.one_of(errors, other_replies, stream_replies), min_size=1, max_size=12)


def errors_in(text):
    """What the twin finds: (number, error line) of each reply that is an error; and how many replies there are."""
    _, python = sides(text)
    return [(number, reply.text) for number, reply in enumerate(python.replies) if isinstance(reply, ErrorReply)], len(
        python.replies
    )


@given(st.data(), MIXED)
def test_skim_tells_the_errors_that_are_among_replies(data, items):
    """In any pieces, a few or all at once, and nothing of the replies behind those that were asked for is taken."""
    text = b"".join(items)
    expected, count = errors_in(text)
    reader = extension.Reader(wire._parse_received)
    found, taken = [], 0
    for piece in data.draw(pieces(text + b"+behind\r\n")):
        reader.feed(piece)
        more, told = reader.skim(count - taken)
        found += [(taken + number, wire.parse(line).text) for number, line in told or ()]
        taken += more
    assert (taken, found) == (count, expected)
    assert reader.gets() == "behind"


@contextmanager
def connected(*, native, blocks=True):
    """A channel, and the socket of the other side."""
    ours, theirs = socket.socketpair()
    connection = SimpleNamespace(_sock=ours, disconnect=ours.close)
    with pytest.MonkeyPatch.context() as patch, theirs:
        if not native:
            patch.setattr(wire, "extension", None)
        channel = Channel(connection)
        if blocks:
            channel.wait_in_kernel(5)
        try:
            yield channel, theirs
        finally:
            channel.close()


@given(MIXED, st.booleans())
@settings(max_examples=USUAL_COUNT // 3)
def test_a_channel_tells_the_same_refusals_both_ways(items, blocks):
    """And is ready for the next replies."""
    text = b"".join(items)
    _, count = errors_in(text)
    told = []
    for native in (True, False):
        with connected(native=native, blocks=blocks) as (channel, theirs):
            theirs.sendall(text)
            told.append([(number, reply.text) for number, reply in channel.refusals(count)])
            theirs.sendall(b"+next\r\n")
            assert channel.receive() == "next"
    assert told[0] == told[1]


@given(st.data(), LISTS)
@settings(max_examples=USUAL_COUNT // 3)
def test_a_channel_that_reads_entries_receives_the_same_both_ways(data, items):
    """While they come in pieces, from another thread."""
    text = b"".join(items)
    parts = data.draw(pieces(text))
    _, python = sides(text)
    received = []
    for native in (True, False):
        with connected(native=native) as (channel, theirs):
            channel.read_entries(5)
            sender = threading.Thread(target=lambda to=theirs: [to.sendall(part) for part in parts])
            sender.start()
            received.append([plain(channel.receive()) for _ in python.replies])
            sender.join()
    assert received[0] == received[1] == [plain(reply) for reply in python.replies]


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("way", ["receive", "refusals"])
@pytest.mark.parametrize(("text", "why"), [(b"", "closed the connection"), (b"*1\r\n?", "."), (b"+half", "closed")])
def test_a_connection_that_ends_or_talks_nonsense_is_lost(native, way, text, why):
    """ServerUnavailable, whichever reads: what a worker tries again after."""
    with connected(native=native) as (channel, theirs):
        channel.read_entries(5)
        theirs.sendall(text)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(ServerUnavailable, match=why):
            channel.receive() if way == "receive" else channel.refusals(1)


@pytest.mark.parametrize("native", [True, False])
def test_a_server_that_says_nothing_is_given_up_after_the_time(native):
    """The kernel's time limit, in seconds."""
    with connected(native=native) as (channel, _):
        channel.read_entries(0.05)
        with pytest.raises(ServerUnavailable, match="connection lost while reading"):
            channel.receive()


@pytest.mark.parametrize("native", [True, False])
def test_a_channel_that_reads_entries_can_be_polled_again(native):
    """`set_timeout` puts an end to waiting in the kernel."""
    with connected(native=native) as (channel, theirs):
        channel.read_entries(5)
        channel.set_timeout(0.01)
        assert channel.poll() is None
        theirs.sendall(b"+here\r\n")
        channel.set_timeout(5)
        assert channel.poll() == "here"


@pytest.mark.parametrize("native", [True, False])
def test_bytes_are_kept_although_others_receive_between_the_halves_of_a_reply(native):
    """Half a message that is no UTF-8, another connection's reply, then the rest."""
    with connected(native=native, blocks=False) as (waiting, one), connected(native=native) as (busy, other):
        waiting.set_timeout(0.01)
        one.sendall(b"*2\r\n$1\r\n\xff\r\n")
        assert waiting.poll() is None
        other.sendall(b"+here\r\n")
        assert busy.receive() == "here"
        one.sendall(b"$1\r\na\r\n")
        assert waiting.poll() == [b"\xff", "a"]
