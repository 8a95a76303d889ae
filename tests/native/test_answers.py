"""Answers: RESP3 text from a worker, replies in the caller's protocol; what is no such text is an error to both."""

from __future__ import annotations

import hiredis
import pytest

from geartrain.errors import CommandError
from support.calls import serve, wait_blocked

VALUES = [
    (b"+OK\r\n", None),
    (b"-ERR it is so\r\n", None),
    (b":-7\r\n", None),
    (b":9223372036854775807\r\n", None),
    (b":-9223372036854775808\r\n", None),
    (b"$0\r\n\r\n", None),
    (b"$6\r\na\r\n\x00\xff\n\r\n", None),
    (b"_\r\n", b"$-1\r\n"),
    (b"*0\r\n", None),
    (b"*2\r\n:1\r\n*1\r\n-E x\r\n", None),
    (b"#t\r\n", b":1\r\n"),
    (b"#f\r\n", b":0\r\n"),
    (b",1.5\r\n", b"$3\r\n1.5\r\n"),
    (b",inf\r\n", b"$3\r\ninf\r\n"),
    (b",-inf\r\n", b"$4\r\n-inf\r\n"),
    (b"(123456789012345678901234567890\r\n", b"$30\r\n123456789012345678901234567890\r\n"),
    (b"=7\r\ntxt:abc\r\n", b"$3\r\nabc\r\n"),
    (b"%1\r\n+a\r\n%1\r\n:1\r\n_\r\n", b"*2\r\n+a\r\n*2\r\n:1\r\n$-1\r\n"),
    (b"~2\r\n:1\r\n:2\r\n", b"*2\r\n:1\r\n:2\r\n"),
    (b"%0\r\n", b"*0\r\n"),
    (b"*1\r\n" * 64 + b":1\r\n", None),
]
"""A value, and what it is in RESP2: None: the same."""

WRONG = [
    (b"", "a value is missing"),
    (b":1", "a line has no end"),
    (b":1\r", "a line has no end"),
    (b":1\n", "a line has no end"),
    (b":\r\n", "no digits"),
    (b":-\r\n", "no digits"),
    (b":one\r\n", "a number is none"),
    (b":9223372036854775808\r\n", "more than 64 bits"),
    (b":1\r\n:2\r\n", "more after the value"),
    (b":1\r\n\r\n", "more after the value"),
    (b"$3\r\nab\r\n", "length is not that of its bytes"),
    (b"$1\r\nab\r\n", "a string has no end"),
    (b"$-2\r\n", "length is not that"),
    (b"$9223372036854775807\r\na\r\n", "length is not that"),
    (b"=2\r\nab\r\n", "no kind"),
    (b"=-1\r\n", "length is not that"),
    (b"*2\r\n:1\r\n", "fewer values"),
    (b"*3\r\n:1\r\n:2\r\n", "fewer values"),
    (b"*1\r\n", "fewer values"),
    (b"*9223372036854775807\r\n", "fewer values"),
    (b"%1\r\n:1\r\n", "a value is missing"),
    (b"%-1\r\n", "fewer values"),
    (b"~-1\r\n", "fewer values"),
    (b"_x\r\n", "a null has a value"),
    (b"#x\r\n", "neither t nor f"),
    (b"#\r\n", "neither t nor f"),
    (b",\r\n", "a double is none"),
    (b", 1\r\n", "a double is none"),
    (b",1x\r\n", "a double is none"),
    (b",\t1\r\n", "a double is none"),
    (b"," + b"1" * 100 + b"\r\n", "a double is none"),
    (b"(\r\n", "no digits"),
    (b"(1.5\r\n", "a big number is none"),
    (b"+a\x00b\r\n", "has a NUL"),
    (b"-a\nb\r\n", "a line has no end"),
    (b">1\r\n:1\r\n", "begins with none of"),
    (b"|1\r\n:1\r\n:1\r\n:1\r\n", "begins with none of"),
    (b"$?\r\n", "a number is none"),
    (b"hello\r\n", "begins with none of"),
    (b"*1\r\n" * 65 + b":1\r\n", "deeper than 64"),
    (b"*1\r\n" * 100_000 + b":1\r\n", "deeper than 64"),
]


def exchange(db, raw, blob, protocol=2):
    """Have a call answered with `blob`: (reply to ANSWER or its error, the caller's connection)."""
    caller, worker = raw(protocol), raw()
    worker.send("GEARTRAIN.SERVE", 60_000, "l")
    wait_blocked(db, worker)
    caller.send("GEARTRAIN.CALL", "l", "x")
    return worker.call("GEARTRAIN.ANSWER", worker.receive()[0], blob), caller


@pytest.mark.parametrize(("text", "older"), VALUES, ids=lambda value: repr(value)[:30])
def test_a_value_reaches_callers_in_their_protocol(db, raw, text, older):
    """RESP3 as it was given, RESP2 as the server translates."""
    reply, caller = exchange(db, raw, text, 3)
    assert reply == 1
    caller.receive()
    assert caller.received == text
    reply, caller = exchange(db, raw, text)
    assert reply == 1
    caller.receive()
    assert caller.received == (text if older is None else older)


@pytest.mark.parametrize(("text", "same"), [(b"$-1\r\n", b"_\r\n"), (b"*-1\r\n", b"_\r\n")], ids=repr)
def test_the_nulls_of_resp2_are_nulls(db, raw, text, same):
    """In both protocols."""
    _, caller = exchange(db, raw, text, 3)
    assert caller.receive() is None
    assert caller.received == same
    _, caller = exchange(db, raw, text)
    assert caller.receive() is None
    assert caller.received == text


@pytest.mark.parametrize(("blob", "message"), WRONG, ids=lambda value: repr(value)[:30])
def test_what_is_no_value_is_an_error_to_the_worker_and_to_the_caller(db, raw, blob, message):
    """The worker is told what is wrong; the call has ended."""
    reply, caller = exchange(db, raw, blob)
    assert isinstance(reply, hiredis.HiredisError)
    assert message in str(reply)
    assert "the worker's answer is no value in RESP3" in str(caller.receive())


def test_a_wrong_answer_to_nobody_is_an_error_too(db):
    """It is looked at first."""
    with pytest.raises(CommandError, match="one value in RESP3"):
        db.call("GEARTRAIN.ANSWER", 2**62, b"x")


def test_large_answers_come_whole(db, raw):
    """Sixteen megabytes, and a hundred thousand values."""
    big = b"x" * (16 << 20)
    reply, caller = exchange(db, raw, b"$%d\r\n%s\r\n" % (len(big), big))
    assert reply == 1
    assert caller.receive() == big
    many = b"*100000\r\n" + b":1\r\n" * 100_000
    reply, caller = exchange(db, raw, many)
    assert reply == 1
    assert caller.receive() == [1] * 100_000
    assert serve(raw(), "l", timeout=1) is None
