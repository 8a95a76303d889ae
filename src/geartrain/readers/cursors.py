"""What the cursors of `SCAN` count, so that one server's keys can be scanned in portions, side by side.

A cursor is a bucket's number in the server's hash table, and buckets are taken in the order of their numbers' bits
*reversed*: 000, 100, 010, 110, 001, ... A table of another size has bits more or fewer at the upper end, and the order
stays the same. So a cursor, its 64 bits reversed, is a *position* between 0 and 2^64 that only grows, whatever happens
to the table meanwhile; the position of a key, its hash reversed, does not depend on the table at all; and a scan from
one position to another finds all keys between them.

    layout   cursor                     position                     servers
    plain    bucket                     reversed(bucket)             without cluster; Redis before 7.4, as a cluster too
    slots    bucket * 16384 + slot      slot * 2^64 + reversed       clusters of Valkey 8, of Redis 7.4, and later

What other servers do is not known (`Cursors.layout` is None): there nothing is split, and all names are kept, to tell
what was seen before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from geartrain.keys import SLOTS

BITS = 64
TABLE = 1 << BITS
"""Positions of one hash table."""

_REDIS = {(6, 0), (6, 2), (7, 0), (7, 2), (7, 4), *((8, minor) for minor in range(0, 20, 2))}
"""Versions of Redis whose cursors are known. Others call themselves Redis 7.1, or 6.3, and are something else."""

_VALKEY = {7, 8, 9}
_OTHERS = ("dragonfly_version", "kvrocks_version", "garnet_version", "keydb_version")


class Layout(StrEnum):
    """What a server's cursors hold."""

    PLAIN = "plain"
    SLOTS = "slots"


@dataclass(frozen=True, slots=True)
class Portion:
    """A part of one server's keys: those from one position up to another. Sent to workers as it is.

    Attributes:
        layout: of the server's cursors.
        start: the first position.
        end: the position behind the last one.
        server: the `run_id` of the process whose positions they are, for each has other hashes; '': any.
    """

    layout: Layout
    start: int
    end: int
    server: str = ""


@dataclass(frozen=True, slots=True)
class Cursors:
    """What a server says of its cursors.

    Attributes:
        layout: what they hold; None: it is not known.
        server: its `run_id`.
    """

    layout: Layout | None
    server: str


def portions(cursors: Cursors, of: int, slots: Iterable[tuple[int, int]] = ()) -> list[Portion]:
    """A server's keys in so many portions of about the same size, in the order in which they are scanned.

    Args:
        cursors: the server's; of a known layout.
        of: how many; there are fewer where the keys cannot be split so finely.
        slots: ranges (first, last) of those that it serves, for `Layout.SLOTS`.
    """
    layout, server = cursors.layout or Layout.PLAIN, ""
    if layout is Layout.PLAIN:
        server = cursors.server
        # Where a bucket begins also in small tables, and yet in parts of about the same size.
        grain = (of - 1).bit_length() + (0 if of & (of - 1) == 0 else 3)
        inner = [((number << grain) // of) << (BITS - grain) for number in range(1, of)]
        bounds = [0, *inner, TABLE]
    else:
        served = [slot for first, last in sorted(slots) for slot in range(first, last + 1)]
        of = max(1, min(of, len(served)))
        inner = [served[number * len(served) // of] * TABLE for number in range(1, of)]
        bounds = [0, *inner, SLOTS * TABLE]
    return [Portion(layout, start, end, server) for start, end in pairwise(bounds)]


def whole(layout: Layout) -> Portion:
    """All keys of a server."""
    return portions(Cursors(layout, ""), 1)[0]


def position(layout: Layout, cursor: int) -> int:
    """The position of a cursor that is not the end of a scan."""
    if layout is Layout.PLAIN:
        return _reversed(cursor)
    return (cursor % SLOTS) * TABLE + _reversed(cursor // SLOTS)


def cursor(layout: Layout, position: int) -> int:
    """The cursor of a position."""
    slot, within = divmod(position, TABLE)
    return _reversed(within) if layout is Layout.PLAIN else _reversed(within) * SLOTS + slot


def coarsest(start: int, end: int) -> int:
    """The largest size that buckets can have had (as positions) for a page from `start` that ended at `end`.

    A page ends where a bucket ends, and all of it was taken from one state of the table (tables).
    """
    return end & -end if start // TABLE == end // TABLE else TABLE


def cursors_of(info: str) -> Cursors:
    """What a server's cursors are, from its `INFO server`."""
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    return Cursors(_layout(fields), fields.get("run_id", ""))


def _layout(fields: Mapping[str, str]) -> Layout | None:
    valkey, redis = _version(fields.get("valkey_version")), _version(fields.get("redis_version"))
    if valkey is not None:
        known, slotted = valkey[0] in _VALKEY, valkey >= (8, 0)
    else:
        known, slotted = redis in _REDIS, redis is not None and redis >= (7, 4)
    if not known or any(name in fields for name in _OTHERS):
        return None
    clustered = "cluster" in (fields.get("redis_mode"), fields.get("server_mode"))
    return Layout.SLOTS if slotted and clustered else Layout.PLAIN


def _version(text: str | None) -> tuple[int, int] | None:
    parts = (text or "").split(".")
    return (int(parts[0]), int(parts[1])) if len(parts) > 1 and parts[0].isdigit() and parts[1].isdigit() else None


def _reversed(number: int) -> int:
    return int(f"{number:0{BITS}b}"[::-1], 2)
