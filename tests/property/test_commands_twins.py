"""Commands that are put off are the same bytes, and the same are refused, whether C packs them or Python."""

from __future__ import annotations

import enum
import math

import hiredis
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geartrain.errors import ArgumentError
from geartrain.extension import extension
from geartrain.keys import SLOTS, slot_of
from geartrain.runtime.arguments import accepted
from geartrain.runtime.deferred import Commands
from geartrain.wire import Lane, pack

if extension is None:
    pytest.skip("the extension is not installed, or left out", allow_module_level=True)

USUAL_COUNT = settings.default.max_examples


class Text(str):
    """Says that it is another text."""

    __slots__ = ()

    def __str__(self):
        return "another"


class Data(bytes):
    """The same of bytes."""

    __slots__ = ()

    def __bytes__(self):
        return b"another"


class Whole(int):
    """The same of an int; of any length."""

    def __int__(self):
        return 1

    def __str__(self):
        return "another"

    __repr__ = __str__


class Real(float):
    """The same of a float."""

    def __float__(self):
        return 1.5

    def __repr__(self):
        return "another"


class Rude:
    """Cannot even be shown."""

    def __repr__(self):
        raise RuntimeError("I do not want to be seen")


class Number(enum.IntEnum):
    """A number with a name."""

    SEVEN = 7


INTS = st.one_of(
    st.integers(),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**4299, 10**4300, -(10**5000)]),
)
FLOATS = st.floats()
TEXTS = st.text(st.characters(codec=None, categories=["L", "N", "Cs", "Cc"]), max_size=5)

USUAL = st.one_of(st.text(max_size=5), st.binary(max_size=5), st.integers(-(2**63), 2**63 - 1), FLOATS)
ODD = st.one_of(
    TEXTS,
    INTS,
    st.binary(max_size=5).map(bytearray),
    st.binary(max_size=5).map(memoryview),
    TEXTS.map(Text),
    st.binary(max_size=3).map(Data),
    INTS.map(Whole),
    FLOATS.map(Real),
    st.sampled_from([None, True, False, Number.SEVEN, [], {}, object, Rude(), 1j]),
)
COMMANDS = st.tuples(
    st.one_of(st.sampled_from(["SET", b"\xff"]), ODD), st.lists(st.one_of(USUAL, USUAL, ODD), max_size=5)
)


def added(commands, command, args, at):
    """How many are to be sent; or what was raised."""
    try:
        return commands.add(command, args, at)
    # RuntimeError: what `Rude` raises; UnicodeEncodeError: text that has no bytes.
    except (ArgumentError, UnicodeEncodeError, RuntimeError) as error:
        return type(error), str(error)


def state(commands):
    """All that can be seen of them."""
    return commands.unsent, [(type(name), repr(name), at) for name, at in commands.pending]


@given(st.lists(st.one_of(COMMANDS, st.none()), max_size=12))
@example([("SET", ["a", 10**5000]), ("SET", [Whole(10**5000)]), ("SET", ["\ud800"]), ("\ud800", []), None])
@example([("SET", [-0.0, math.nan, math.inf, 1e16, 1e22, 5e-324])])
@settings(max_examples=2 * USUAL_COUNT)
def test_the_same_commands_are_added_and_the_same_refused(steps):
    """After each: the same count, the same bytes and the same error; nothing is half there after one. None: `take`."""
    native, python = extension.Commands(accepted), Commands()
    for at, step in enumerate(steps):
        if step is None:
            assert native.take() == python.take()
        else:
            command, args = step
            assert added(native, command, tuple(args), at) == added(python, command, tuple(args), at)
        assert state(native) == state(python)
    assert native.take() == python.take()


def packed(pack, words):
    """What a function makes of a command, or what it raises."""
    try:
        return pack(words)
    except (TypeError, ValueError, RuntimeError) as error:
        return type(error)


@given(st.lists(st.one_of(USUAL, USUAL, ODD), min_size=1, max_size=6))
@example(["x" * (2 << 20), "y"])
@settings(max_examples=2 * USUAL_COUNT)
def test_a_command_is_packed_as_the_library_does_it(words):
    """What the library alone knows is left to it; never is half of a command there."""
    # An int that Python does not write out ends the library's process.
    words = [0 if isinstance(word, int) and abs(word) > 10**4000 else word for word in words]
    expected = packed(hiredis.pack_command, tuple(words))
    for form in (tuple(words), words):
        found = packed(extension.pack, form)
        assert found in {expected, None}
        if all(type(word) in {str, bytes, float} for word in words):
            assert found == expected


@pytest.mark.parametrize("make", [lambda: extension.Commands(accepted), Commands], ids=["native", "python"])
def test_an_argument_of_a_subclass_is_what_it_holds(make):
    """Whatever its own methods say; an enum's member is its value."""
    commands = make()
    commands.add(Text("SET"), (Text("a"), Data(b"b"), Whole(5), Real(2.5), Number.SEVEN, bytearray(b"c")), None)
    assert commands.take() == (
        b"*7\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\n5\r\n$3\r\n2.5\r\n$1\r\n7\r\n$1\r\nc\r\n"
    )


@pytest.mark.parametrize("make", [lambda: extension.Commands(accepted), Commands], ids=["native", "python"])
def test_a_refused_argument_is_named(make):
    """By the command and its number; an int that Python does not write out, by its size."""
    commands = make()
    for args, why in (
        (("k", None), r"execute\('SET'\): argument 2 is None \(NoneType\); a command takes str, bytes, int or float"),
        ((True,), r"execute\('SET'\): argument 1 is True \(bool\)"),
        (("k", "v", 10**5000), r"execute\('SET'\): argument 3 is an int of 16610 bits: Exceeds the limit"),
    ):
        with pytest.raises(ArgumentError, match=why):
            commands.add("SET", args, None)
    with pytest.raises(ArgumentError, match="execute: the command is None"):
        commands.add(None, (), None)
    assert (commands.unsent, commands.pending, commands.take()) == (0, [], b"")


@pytest.mark.parametrize("make", [lambda: extension.Commands(accepted), Commands], ids=["native", "python"])
def test_an_argument_that_adds_commands_while_it_is_refused_does_not_mix_them_up(make):
    """What it adds is whole, and all that is there."""
    commands = make()

    class Busy:
        def __repr__(self):
            commands.add("PING", (), "inner")
            return "busy"

    with pytest.raises(ArgumentError, match="argument 2 is busy"):
        commands.add("SET", ("k", Busy()), "outer")
    assert commands.pending == [("PING", "inner")]
    assert (commands.unsent, commands.take()) == (1, b"*1\r\n$4\r\nPING\r\n")


KEYS = st.one_of(
    st.text(max_size=4), st.binary(max_size=4), st.from_regex(rb"[a}]{0,2}\{[a{]{0,2}\}[b]?", fullmatch=True)
)


@given(st.lists(st.tuples(st.sampled_from(["SET", "set", "MSET", b"GET", "other"]), KEYS, USUAL), max_size=20))
def test_a_command_waits_in_the_lane_of_its_key(steps):
    """As `Lanes` would have it; what is not plain is left to that, and nothing is done."""
    lanes, order, places = [Lane(slot % 7) for slot in range(SLOTS)], [], {"SET": 0, b"GET": 0, "MSET": -1, "set": 1}
    lanes[100:200] = [None] * 100
    commands = extension.Commands(accepted)
    commands.route(lanes, order, places, 3)
    assert commands.add_to_lane("SET", ("k", 1), None) is False
    order.append(lanes[0])
    for at, (name, *args) in enumerate(steps):
        key = args[places.get(name, -1)] if places.get(name, -1) >= 0 else None
        lane = lanes[slot_of(key)] if isinstance(key, str | bytes) else None
        counts = len(order), len(commands.pending)
        found = commands.add_to_lane(name, tuple(args), at)
        if lane is None:
            assert found is False
            assert (len(order), len(commands.pending)) == counts
        else:
            assert found is (lane if len(lane.waiting) >= 3 else None)
            assert order[-1] is lane
            assert commands.pending[-1] == (lane.waiting[-1], at) == (pack((name, *args)), at)
    assert commands.take() == b""


def test_an_unusual_argument_or_place_is_not_plain():
    """Nor is anything where there are no lanes."""
    commands = extension.Commands(accepted)
    assert commands.add_to_lane("SET", ("k", 1), None) is False
    lanes = [Lane(None)] * SLOTS
    commands.route(lanes, [lanes[0]], {"SET": 0, "FAR": 5}, 9)
    for command in (
        ("SET", "\ud800"),
        ("SET", 5),
        ("SET", "k", None),
        ("SET",),
        ("FAR", "k"),
        ("GET", "k"),
        (b"SET", "k"),
    ):
        assert commands.add_to_lane(command[0], command[1:], None) is False
    with pytest.raises(TypeError):
        commands.route(None, None, None, 1)
    with pytest.raises(TypeError):
        commands.add_to_lane("SET", ["k"], None)
    assert commands.pending == lanes[0].waiting == []


def test_an_accepted_argument_must_be_one():
    """What the function gives is not trusted."""
    commands = extension.Commands(lambda _command, _number, _arg: None)
    with pytest.raises(TypeError, match="none of str, bytes, int, float"):
        commands.add("SET", (None,), None)
    assert commands.take() == b""


def test_only_what_fits_is_taken():
    """The extension's own functions refuse what would harm them."""
    commands = extension.Commands(accepted)
    for args in ((), ("SET", ["k"], None), ("SET", (), None, 1)):
        with pytest.raises(TypeError):
            commands.add(*args)
    with pytest.raises(TypeError, match="sites are Sites, or None"):
        commands.sites = ()
    with pytest.raises(TypeError):
        extension.Sites(((1,),))
    with pytest.raises(TypeError, match="takes a context and its Commands"):
        extension.enter(object(), object())
    assert commands.take() == b""
