"""Slots as ranges."""

from __future__ import annotations

from geartrain.server.slotmoves import spans


def test_slots_are_told_as_ranges():
    """In order, whatever order they come in, each once."""
    assert list(spans([3, 1, 2, 7, 2])) == [range(1, 4), range(7, 8)]
    assert list(spans([])) == []
