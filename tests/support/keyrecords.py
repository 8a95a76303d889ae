"""Steps that write down the records of key events, and the reading of what they wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geartrain import GearsBuilder, execute

if TYPE_CHECKING:
    from support.working import Workplace

WRITTEN = "out:seen"
"""The list; its name is none that tests look at, so that what is written does not trigger."""


def keys_reader() -> GearsBuilder:
    """A KeysReader."""
    return GearsBuilder("KeysReader")


def noting() -> GearsBuilder:
    """Write down each record."""
    return keys_reader().foreach(lambda record: execute("rpush", WRITTEN, repr(record)))


def records(place: Workplace, count: int) -> list[Any]:
    """The records that were written down, once there are so many."""
    return [eval(text) for text in place.seen(count, WRITTEN)]
