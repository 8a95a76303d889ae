"""Keys, fields and values of any bytes: text is `str` where it is valid UTF-8, else `bytes`, and goes back the same."""

from __future__ import annotations

import pytest

from geartrain import GearsBuilder, execute
from geartrain.text import to_text
from support.waiting import wait_for

ALL_BYTES = bytes(range(256))

NAMES = [
    ALL_BYTES,
    *(bytes([number]) * 2 for number in (0, 10, 13, 32, 34, 92, 127, 128, 192, 255)),
    b"",
    b"{",
    b"}",
    b"{}",
    b"}{",
    b"{a}",
    b"a{b}c",
    b"{a}{b}",
    b"{a{b}c",
    b"a}b",
    b"{\xff}",
    b"{}{a}",
    b"a{b",
    "zug-\N{LATIN SMALL LETTER U WITH DIAERESIS}-\N{STEAM LOCOMOTIVE}".encode(),
    b"\xed\xa0\x80",
    b"*?[a]\\",
]


def test_streams_of_any_name_are_read_and_committed(everywhere):
    """All 256 bytes, nothing, and braces in odd places; each has its own group and lag."""
    place = everywhere
    source = """
from geartrain.runtime import streamKey
GearsBuilder("StreamReader").foreach(lambda r: execute("hset", "seen:streams", streamKey(), r["a"])).register("*")
"""
    place.client.execute(source, session="script")
    for name in NAMES:
        place.add(name, "a", name)
    place.start()
    wait_for(lambda: place.link.call("HLEN", "seen:streams") == len(NAMES))
    flat = place.link.call("HGETALL", "seen:streams")
    assert flat[::2] == flat[1::2]
    assert set(flat[::2]) == {to_text(name) for name in NAMES}
    info = place.wait_done("script/StreamReader:*", triggered=len(NAMES))
    assert info.triggered == len(NAMES)
    assert {item.stream for item in place.client.show(info.id).partitions} == {to_text(name) for name in NAMES}


def test_fields_and_values_of_any_bytes_are_kept(everywhere):
    """What a step gets it sends back as the same bytes."""
    place = everywhere

    def copy(record):
        record.pop("streamId")
        for field, value in record.items():
            execute("hset", "out", field, value)

    place.register(GearsBuilder("StreamReader").foreach(copy), "s")
    fields = {name + b"!": name for name in NAMES} | {bytes([n]): bytes([255 - n]) for n in range(256)}
    place.add("s", *(item for pair in fields.items() for item in pair))
    place.start()
    wait_for(lambda: place.link.call("HLEN", "out") == len(fields))
    flat = place.link.call("HGETALL", "out")
    assert dict(zip(flat[::2], flat[1::2], strict=True)) == {to_text(f): to_text(v) for f, v in fields.items()}


def test_text_is_str_and_other_bytes_are_bytes(place):
    """In one record, field by field."""
    place.register(GearsBuilder("StreamReader").foreach(lambda r: execute("rpush", "seen", repr(r))), "s")
    entry_id = place.add("s", b"text", "gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n", b"\xff", b"\x80\x00")
    place.start()
    assert eval(place.seen(1)[0]) == {
        "streamId": entry_id,
        "text": "gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n",
        b"\xff": b"\x80\x00",
    }


@pytest.mark.parametrize("name", [ALL_BYTES, b"\xff\xfe", b"{\xff}", b""])
def test_key_events_of_any_name_are_executed(place, name):
    """Keys and values of a KeysReader keep their bytes."""
    builder = GearsBuilder("KeysReader").foreach(lambda r: execute("hset", "seen:keys", r["key"], r["value"]))
    place.register(builder, "*", eventTypes=["set"])
    place.start()
    place.link.call("SET", name, ALL_BYTES)
    wait_for(lambda: place.link.call("HLEN", "seen:keys") == 1)
    assert place.link.call("HGETALL", "seen:keys") == [to_text(name), ALL_BYTES]


def test_an_error_that_holds_no_utf8_is_shown_escaped(place):
    """A message or a reply with such bytes does not disturb the worker; `show` has it readable."""

    def fail(record):
        if record["a"] == "1":
            raise ValueError("lone \udcff surrogate")
        execute(b"no\xffcommand", b"\xfe")

    registration = place.register(GearsBuilder("StreamReader").foreach(fail), "s", onFailedPolicy="continue")
    place.start()
    place.add("s", "a", "1")
    info = place.wait_info(registration, lambda info: info.failed == 1)
    assert r"lone \udcff surrogate" in info.last_error
    place.add("s", "a", "2")
    info = place.wait_info(registration, lambda info: info.failed == 2)
    assert r"unknown command" in info.last_error
    assert [item.outcome for item in place.client.show(registration).history] == ["failed", "failed"]
