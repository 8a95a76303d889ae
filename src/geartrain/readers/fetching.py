"""What is read of the keys of a page: nothing, types, or values; no more than a run's steps can notice.

A plan packs what is to be asked for a page; that is sent together with the `SCAN` of the next one, and while the server
is at them, the records of the page before go through the steps. Then `records` takes the replies.

| plan | asked first | then |
|---|---|---|
| `Names` | nothing | |
| `Kinds` | `TYPE` of each key | |
| `Values` | `MGET`, as most keys are strings | types and values of those that gave nothing |
| | or `TYPE` of each key, where on the page before most were none | the values |

A record may lack the fields that nobody looks at: it is an error that shows it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, repeat
from typing import Any, Protocol, TypeAlias

from geartrain.config import Dialect
from geartrain.errors import CommandError
from geartrain.keys import slot_of
from geartrain.readers.cursors import Layout
from geartrain.readers.scanning import Page
from geartrain.readers.values import NO_KEY, key_record, kinds_of, read_kinds, read_of_kinds, read_values
from geartrain.wire import REDIRECTIONS, Access, ErrorReply, Shard, pack, pack_all

Record: TypeAlias = Any

FIELDS = frozenset({"key", "value", "type", "event"})
"""The fields of a record."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the records of keys are to be.

    Attributes:
        dialect: their format.
        fields: what somebody may look at: records may lack the others, and are bare names where nothing is left.
        values: whether values are read at all; otherwise `value` is None.
        lent: nobody keeps a record: it may be changed when the next one is asked for.
    """

    dialect: Dialect = Dialect.GEARTRAIN
    fields: Collection[str] = FIELDS
    values: bool = True
    lent: bool = False

    def record(self, key: str | bytes, kind: str, value: Any) -> Record:
        """A record with all fields."""
        return key_record(key, kind, value, None, self.dialect, reads_value=self.values)

    def records(self, page: Page, found: Iterable[tuple[str, Any]]) -> list[Record]:
        """Those of the keys of a page that are there."""
        return [self.record(key, kind, value) for key, (kind, value) in zip(page, found, strict=True) if kind != NO_KEY]


class Lent:
    """The records of strings, one at a time: each is the same dict, changed. To make new ones takes 100 ns more.

    Args:
        keys: of the records.
        values: of the records.
    """

    def __init__(self, keys: Page, values: list[Any]) -> None:
        self._keys = keys
        self._values = values

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, part: slice) -> Lent:
        return Lent(self._keys[part], self._values[part])

    def __iter__(self) -> Iterator[Record]:
        record: dict[str, Any] = {"key": None, "value": None, "type": "string", "event": None}
        for record["key"], record["value"] in zip(self._keys, self._values, strict=True):
            yield record


Records: TypeAlias = list[Any] | Lent
"""Of a page: sized, iterable, cut by slices."""


class Plan(Protocol):
    """How the records of a page are read."""

    def packed(self, page: Page) -> tuple[bytes, int]:
        """What to send to the shard for a page, and the number of replies."""

    def records(self, page: Page, replies: list[Any]) -> Records:
        """The records, in the page's order; may use the link."""


class Names:
    """Names alone. A name was there when it was found, and that is enough.

    Args:
        bare: the records are the names themselves.
    """

    def __init__(self, *, bare: bool) -> None:
        self._bare = bare

    def packed(self, page: Page) -> tuple[bytes, int]:
        """Nothing."""
        del page
        return b"", 0

    def records(self, page: Page, replies: list[Any]) -> list[Record]:
        """The names, or a record for each."""
        del replies
        return page if self._bare else [{"key": key, "event": None} for key in page]


class Kinds:
    """Types, and no values (`readValue=False`, or nobody looks at them).

    Args:
        link: for keys that have moved.
        wanted: what the records are to be.
    """

    def __init__(self, link: Access, wanted: Wanted) -> None:
        self._link = link
        self._wanted = wanted

    def packed(self, page: Page) -> tuple[bytes, int]:
        """One `TYPE` for each key."""
        return _types(page)

    def records(self, page: Page, replies: list[Any]) -> list[Record]:
        """Of the keys that are still there."""
        kinds = read_kinds(self._link, page) if _moved(replies) else kinds_of(replies)
        if "value" in self._wanted.fields:
            return self._wanted.records(page, zip(kinds, repeat(None)))
        return [
            {"key": key, "type": kind, "event": None} for key, kind in zip(page, kinds, strict=True) if kind != NO_KEY
        ]


class Values:
    """Types and values.

    Args:
        link: for what takes more than one look, and for keys that have moved.
        shard: whose keys they are.
        layout: of the server's cursors; where it is `SLOTS`, keys of one slot come together.
        wanted: what the records are to be.
    """

    def __init__(self, link: Access, shard: Shard, layout: Layout | None, wanted: Wanted) -> None:
        self._link = link
        self._shard = shard
        self._layout = layout
        self._wanted = wanted
        self._lean = {"key", "value"}.issuperset(wanted.fields)
        self._strings = True
        self._allowed = True

    def packed(self, page: Page) -> tuple[bytes, int]:
        """What gives the values of strings, or all types."""
        if not page:
            return b"", 0
        if not self._strings:
            return _types(page)
        if not self._shard.node:
            return pack(("MGET", *page)), 1
        if self._layout is Layout.SLOTS:
            slots = [pack(("MGET", *keys)) for _, keys in groupby(page, slot_of)]
            return b"".join(slots), len(slots)
        return pack_all(("GET", key) for key in page), len(page)

    def records(self, page: Page, replies: list[Any]) -> Records:
        """Of the keys that are still there, each as it was at one moment."""
        if _moved(replies):
            return self._slowly(page)
        return self._of_strings(page, replies) if self._strings else self._of_kinds(page, replies)

    def _of_strings(self, page: Page, replies: list[Any]) -> Records:
        found = _strings(replies)
        if len(found) < len(page):
            # Perhaps the user may GET, but not MGET.
            self._strings = self._allowed = False
            return self._slowly(page)
        if None in found:
            missing = [key for key, value in zip(page, found, strict=True) if value is None]
            self._strings = 2 * len(missing) < len(page)
            others = iter(self._read(missing))
            read = (next(others) if value is None else ("string", value) for value in found)
            return self._wanted.records(page, read)
        if self._wanted.lent:
            return Lent(page, found)
        pairs = zip(page, found, strict=True)
        if self._lean:
            return [{"key": key, "value": value} for key, value in pairs]
        if self._wanted.dialect is Dialect.REDISGEARS_1_2:
            return [{"event": None, "key": key, "type": "string", "value": value} for key, value in pairs]
        return [{"key": key, "value": value, "type": "string", "event": None} for key, value in pairs]

    def _of_kinds(self, page: Page, replies: list[Any]) -> list[Record]:
        kinds = kinds_of(replies)
        self._strings = self._allowed and 2 * kinds.count("string") > len(page)
        try:
            return self._wanted.records(page, read_of_kinds(self._link.on(self._shard), page, kinds))
        except CommandError as error:
            if error.code not in REDIRECTIONS:
                raise
            return self._slowly(page)

    def _slowly(self, page: Page) -> list[Record]:
        """Wherever the keys are now."""
        return self._wanted.records(page, read_values(self._link, page))

    def _read(self, page: Page) -> list[tuple[str, Any]]:
        """Types and values, from the shard itself; of keys that have moved since, from where they are."""
        try:
            return read_values(self._link.on(self._shard), page)
        except CommandError as error:
            if error.code not in REDIRECTIONS:
                raise
            return read_values(self._link, page)


def plan_for(link: Access, shard: Shard, layout: Layout | None, wanted: Wanted) -> Plan:
    """How to read records.

    Args:
        link: for the plan.
        shard: whose keys.
        layout: of the server's cursors.
        wanted: what the records are to be.
    """
    if "value" in wanted.fields and wanted.values:
        return Values(link, shard, layout, wanted)
    if "value" in wanted.fields or "type" in wanted.fields:
        return Kinds(link, wanted)
    return Names(bare=not wanted.fields)


def _types(page: Page) -> tuple[bytes, int]:
    return pack_all(("TYPE", key) for key in page), len(page)


def _strings(replies: list[Any]) -> list[Any]:
    """The value of each key that is a string, None for others; fewer where the server refuses."""
    found: list[Any] = []
    for reply in replies:
        if isinstance(reply, list):
            found += reply
        elif not isinstance(reply, ErrorReply):
            found.append(reply)
        elif reply.code == "WRONGTYPE":
            found.append(None)
    return found


def _moved(replies: Iterable[Any]) -> bool:
    return any(isinstance(reply, ErrorReply) and reply.code in REDIRECTIONS for reply in replies)
