"""The server's setting for key events: what is needed, and what is missing."""

from __future__ import annotations

import pytest

from geartrain.worker.notifications import classes_for, missing_flags


@pytest.mark.parametrize(
    ("events", "classes"),
    [
        (["set"], "$"),
        (["del", "expired", "evicted"], "gxe"),
        (["hset", "lpush", "sadd", "zadd", "xadd"], "hlszt"),
        (["keymiss"], "m"),
        (["new"], "n"),
    ],
)
def test_events_need_the_classes_that_hold_them(events, classes):
    """The letters of `notify-keyspace-events`."""
    assert classes_for(events) == frozenset(classes)


@pytest.mark.parametrize("events", [None, ["an-event-of-a-later-server"]])
def test_all_events_or_one_that_is_not_known_need_all_classes(events):
    """`keymiss` and `new` apart, which change nothing and have to be asked for."""
    assert classes_for(events) == frozenset("g$lshzxet")


@pytest.mark.parametrize(
    ("setting", "events", "missing"),
    [
        ("", None, "AE"),
        ("", ["set"], "$E"),
        ("AKE", ["set", "del"], ""),
        ("KA", None, "E"),
        ("E$", ["set", "hset"], "h"),
        ("AE", ["keymiss"], "m"),
    ],
)
def test_what_is_missing_is_added_to_what_is_there(setting, events, missing):
    """`E` always; all classes are `A`."""
    assert missing_flags(setting, classes_for(events)) == missing
