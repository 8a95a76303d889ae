"""The names of the keys that are there and match a pattern."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, TypeAlias, cast

from geartrain import glob
from geartrain.errors import CommandError, ServerUnavailable
from geartrain.keys import PREFIX
from geartrain.readers.cursors import TABLE, Cursors, Portion, coarsest, cursor, cursors_of, position, whole
from geartrain.text import to_bytes
from geartrain.wire import Access, Argument, Command, ErrorReply, Link, Shard, pack, raise_for

PAGE = 1000
"""Keys that the server looks at for one SCAN; larger: fewer round trips, and others wait longer."""

_KEPT = 64
"""Pages whose names are kept, to know again what a table that shrinks shows a second time: all of it, unless the
database loses all but one in thousands of its keys while it is scanned."""

_MOST_IN_BUCKET = 40
"""Keys in one bucket of a hash table, on the average, that no server exceeds while it lets tables grow."""

_OWN = PREFIX.decode()

Page: TypeAlias = list[str | bytes]


class Scan:
    """One walk over the names of a shard, or of a portion of it: ask `command`, send it, give its reply to `take`.

    Keys that are there all the time are found, once; one that comes or goes meanwhile may be. (A server whose keys
    vanish until there are fewer than some hundred, while they are scanned in portions, may show one twice.)

    Args:
        link: the shard's; `take` uses it where pages overlap.
        pattern: a glob, as in `SCAN MATCH`.
        kind: keys of this type only, for example `stream`; None: of any.
        portion: which keys; None: all.
        count: keys that the server looks at for one page.

    Attributes:
        layout: of the server's cursors; None: it is not known.

    Raises:
        ServerUnavailable: the portion is another server's.
    """

    def __init__(
        self, link: Link, pattern: str, kind: str | None = None, portion: Portion | None = None, count: int = PAGE
    ) -> None:
        self._link = link
        matching = ("MATCH", pattern) if pattern != "*" else ()
        self._options: tuple[Argument, ...] = (*matching, "COUNT", count, *(("TYPE", kind) if kind else ()))
        cursors = cursors_at(link)
        self._split = portion is not None
        if portion is not None and portion.server not in {"", cursors.server}:
            raise ServerUnavailable(f"{link.endpoint.shown}: this is not the server any more that run() began with")
        self.layout = cursors.layout if portion is None else portion.layout
        if portion is None and self.layout is not None:
            portion = whole(self.layout)
        self._portion = portion
        self._position = portion.start if portion else 0
        self._cursor: str | None = str(cursor(portion.layout, portion.start)) if portion else "0"
        self._kept: deque[tuple[int, Page]] = deque(maxlen=_KEPT)
        self._seen: set[str | bytes] = set()

    @property
    def command(self) -> Command | None:
        """What to send next; None: this was all."""
        return None if self._cursor is None else ("SCAN", self._cursor, *self._options)

    def take(self, reply: Any) -> Page:
        """The names of one page, without Geartrain's own keys and without those that were there before.

        Raises:
            CommandError: the server refused.
        """
        if isinstance(reply, ErrorReply):
            raise_for(reply, ("SCAN",))
        self._cursor, found = reply
        if self._cursor == "0":
            self._cursor = None
        page = _without_own(found)
        return self._unseen(page) if self._portion is None else self._within(page, self._portion)

    def _unseen(self, page: Page) -> Page:
        """Of a server whose cursors nobody knows: without all names that were there before."""
        fresh = [key for key in dict.fromkeys(page) if key not in self._seen]
        self._seen.update(fresh)
        return fresh

    def _within(self, page: Page, portion: Portion) -> Page:
        start, end = self._position, self._reached(portion)
        if end <= start:
            return self._lost(page)
        self._position = end
        size = coarsest(start, end)
        before = start - start % size
        if before < start and self._kept:
            page = self._new(page, before)
        if end > portion.end:
            page = self._cut(page, portion, end)
        if end >= portion.end:
            self._cursor = None
        self._kept.append((end, page))
        return page

    def _new(self, page: Page, before: int) -> Page:
        """What was not there on pages that reached beyond a position."""
        shown = set().union(*(names for until, names in self._kept if until > before))
        return page if shown.isdisjoint(page) else [key for key in page if key not in shown]

    def _reached(self, portion: Portion) -> int:
        """The position after this page."""
        if self._cursor is None:
            return whole(portion.layout).end
        return position(portion.layout, int(self._cursor))

    def _lost(self, page: Page) -> Page:
        """A position goes back: this server is not what it says that it is."""
        if self._split:
            raise CommandError("SCAN", f"cursor {self._cursor} is not behind the one before it, as elsewhere")
        self.layout = self._portion = None
        self._seen = {key for _, names in self._kept for key in names}
        return self._unseen(page)

    def _cut(self, page: Page, portion: Portion, end: int) -> Page:
        """A page that goes beyond the portion's end, without what is there: the next portion finds that."""
        if not self._begins_bucket(portion.end):
            return page
        beyond: set[str | bytes] = set()
        reached, at = portion.end, str(cursor(portion.layout, portion.end))
        while reached < end:
            at, found = self._link.call("SCAN", at, *self._options)
            beyond.update(found)
            if at == "0":
                break
            reached = position(portion.layout, int(at))
        return [key for key in page if key not in beyond]

    def _begins_bucket(self, at: int) -> bool:
        """Whether a bucket begins at this position, be the table as small as it can be now."""
        if at % TABLE == 0:
            return True
        needed = TABLE // (at & -at)
        return bool(self._link.call("DBSIZE") >= _MOST_IN_BUCKET * needed)


def scan(link: Access, pattern: str, kind: str | None = None, shard: Shard | None = None) -> Iterator[Page]:
    """Names of keys, in pages, each name once; without Geartrain's own keys. `Scan` says more.

    Args:
        link: used between two pages only.
        pattern: a glob, as in `SCAN MATCH`.
        kind: keys of this type only, for example `stream`; None: of any.
        shard: keys of this shard only; None: of all.
    """
    for each in link.shards if shard is None else (shard,):
        node = link.on(each)
        walk = Scan(node, pattern, kind)
        while (command := walk.command) is not None:
            page = walk.take(node.exchange(pack(command), 1)[0])
            if page:
                yield page


def is_exact(pattern: str, *, literal: bool = False) -> bool:
    """Whether a pattern can match one name only, or is `literal`."""
    return literal or glob.is_exact(pattern.encode())


def is_own(key: str | bytes) -> bool:
    """Whether Geartrain itself keeps something under this name."""
    return to_bytes(key).startswith(PREFIX)


def cursors_at(link: Link) -> Cursors:
    """What a server's cursors are; of no known layout too where who asks may not know."""
    try:
        return cursors_of(str(link.call("INFO", "server")))
    except CommandError:
        return Cursors(None, "")


def _without_own(page: Page) -> Page:
    try:
        # 10 ns a name, where to ask each one takes 100.
        if _OWN not in "\n".join(cast("list[str]", page)):
            return page
    except TypeError:  # some are bytes
        pass
    return [key for key in page if not is_own(key)]
