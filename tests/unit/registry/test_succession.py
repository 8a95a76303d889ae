"""Which registrations of a submission go on with what others have left."""

from __future__ import annotations

from dataclasses import replace

from geartrain.builder.requests import Reader
from geartrain.registry.succession import UNNAMED, predecessors
from support.registrations import registration

OLD = "0" * 40


def item(number, pattern, position=0, reader=Reader.STREAM):
    """A registration with a generated id, or none."""
    name = UNNAMED if number is None else f"{OLD}-{number}"
    return replace(registration("x", reader=reader), id=name, pattern=pattern, position=position)


def test_the_same_reader_and_pattern_take_over_in_the_order_of_the_script():
    """The second of two that are alike takes the second's place; what is new has no predecessor."""
    before = [item(2, "a", position=1), item(1, "a", position=0), item(3, "b", position=2)]
    wanted = [item(None, "b"), item(None, "a"), item(None, "a"), item(None, "a"), item(None, "c")]
    assert predecessors(wanted, before) == [f"{OLD}-3", f"{OLD}-1", f"{OLD}-2", UNNAMED, UNNAMED]


def test_another_reader_of_the_same_pattern_is_another_one():
    """Their offsets mean something else."""
    assert predecessors([item(None, "a", reader=Reader.KEYS)], [item(1, "a")]) == [UNNAMED]


def test_a_name_of_the_users_own_is_kept_and_not_taken_over():
    """Neither by one without a name, nor the other way round."""
    named = replace(item(None, "a"), id="mine")
    assert predecessors([named, item(None, "a")], [named, item(1, "a")]) == ["mine", f"{OLD}-1"]
    assert predecessors([item(None, "a")], [named]) == [UNNAMED]


def test_ids_of_earlier_versions_are_taken_over():
    """They were made of the session's name."""
    before = replace(item(None, "a"), id="shop/StreamReader:a", session="shop")
    assert predecessors([item(None, "a")], [before]) == ["shop/StreamReader:a"]
