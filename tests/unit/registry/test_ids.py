"""Ids of registrations."""

from __future__ import annotations

from geartrain.builder import Mode, Reader, RegisterRequest, StreamArguments
from geartrain.registry import ids_for


def request(pattern="s", name=None):
    """A registration of a stream."""
    return RegisterRequest(
        reader=Reader.STREAM,
        pattern=pattern,
        mode=Mode.ASYNC,
        name=name,
        description=None,
        arguments=StreamArguments(),
        steps=(),
        on_registered=None,
    )


def test_an_id_is_readable():
    """Session, reader and pattern make the id; a name takes its place."""
    assert ids_for("shop", [request("orders:*"), request(name="totals")]) == ["shop/StreamReader:orders:*", "totals"]


def test_an_id_that_occurs_again_gets_a_number():
    """The second registration of one pattern is #2, the third #3, whatever stands between."""
    ids = ids_for("shop", [request("a"), request("b"), request("a"), request("a")])
    assert ids == ["shop/StreamReader:a", "shop/StreamReader:b", "shop/StreamReader:a#2", "shop/StreamReader:a#3"]


def test_a_name_that_looks_numbered_hides_no_other_registration():
    """Every request has an id of its own, also where a user's name is one that we would make."""
    ids = ids_for("shop", [request(name="x"), request(name="x#2"), request(name="x")])
    assert ids == ["x", "x#2", "x#3"]
