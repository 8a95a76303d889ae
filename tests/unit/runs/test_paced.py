"""`paced`: records in lists so short that one who has to stop does so soon."""

from __future__ import annotations

import pytest

from geartrain.runs.job import Stopped, paced


def test_all_records_come_in_order():
    """Whatever the pages are."""
    pages = [[1], [], list(range(2, 3000)), [3000]]
    assert [record for part in paced(pages, lambda: False) for record in part] == list(range(1, 3001))


def test_quick_records_come_in_long_lists():
    """So that asking costs nothing: a million records, some hundred questions."""
    asked = []
    parts = list(paced((list(range(1000)) for _ in range(1000)), lambda: bool(asked.append(None))))
    assert len(asked) == len(parts) < 1100


def test_slow_records_come_one_by_one(monkeypatch):
    """Where each takes long, `stopped` is asked before each."""
    clock = iter(range(10_000))
    monkeypatch.setattr("geartrain.runs.job.time.monotonic", lambda: next(clock))
    assert {len(part) for part in paced([list(range(50))], lambda: False)} == {1}


def test_who_stops_gets_nothing_more():
    """The error comes between two lists."""
    stop = []
    found = paced([[1], [2]], lambda: bool(stop))
    assert next(found) == [1]
    stop.append(True)
    with pytest.raises(Stopped):
        next(found)
