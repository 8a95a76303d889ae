"""How far a registration has come in one stream: the same consumer group that workers keep (`worker/lua/open.lua`)."""

from __future__ import annotations

from typing import Any

import _geartrain
from geartrain import keys
from geartrain.errors import CommandError
from geartrain.inserver.database import Database
from geartrain.readers.entries import fields_of, id_parts
from geartrain.worker.deployment import Deployment


class StreamOffset:
    """The offset in one stream, kept in its consumer group.

    Args:
        database: where the stream is.
        name: the stream's.
        deployment: whose offset it is.

    Attributes:
        last: the last entry that is done; None: the group was not looked up yet, or is gone.
    """

    def __init__(self, database: Database, name: bytes, deployment: Deployment) -> None:
        self.last: str | None = None
        self._database = database
        self._name = name
        self._deployment = deployment
        self._id = deployment.registration.id
        self._group = keys.group(self._id)
        self._entries_read: int | None = None

    def open(self) -> bool:
        """Find the group, or make it; False: there is no such stream."""
        call = self._database.call
        if call("TYPE", self._name) != "stream":
            return False
        stream = fields_of(call("XINFO", "STREAM", self._name))
        group = self._find()
        if group is None:
            call("XGROUP", "CREATE", self._name, self._group, self._beginning(stream["last-generated-id"]))
            call("SADD", self._noted_in(), self._name)
            group = self._find() or {}
        last: str = group["last-delivered-id"]
        self._entries_read = group.get("entries-read")
        if last == stream["last-generated-id"]:
            self._entries_read = stream["entries-added"]
        elif last == "0-0":
            # Nothing read yet: what was trimmed away before counts as read, or the lag would never come down.
            self._entries_read = stream["entries-added"] - stream["length"]
        self.last = last
        return True

    def is_there(self) -> bool:
        """Whether the stream still has the group.

        Raises:
            CommandError: there is no such stream.
        """
        return self._find() is not None

    def commit(self, last: str, count: int) -> None:
        """`count` more entries are done, up to `last`: in the transaction of what the function did."""
        self.last = last
        if self._entries_read is not None:
            self._entries_read += count
        try:
            self._move("SETID")
        except CommandError:
            self._made_anew()
        if self.last is not None and self._deployment.trim:
            self._trim()

    def settle(self) -> None:
        """All entries are done: the server's count of them is ours, so that the lag it shows is 0."""
        if self._entries_read is not None or self.last is None:
            return
        stream = fields_of(self._database.call("XINFO", "STREAM", self._name))
        if stream["last-generated-id"] == self.last:
            self._entries_read = stream["entries-added"]
            self._move("SETID")

    def read(self, count: int) -> list[Any]:
        """The next entries."""
        entries: list[Any] = self._database.call("XRANGE", self._name, f"({self.last}", "+", "COUNT", count)
        return entries

    def _noted_in(self) -> bytes:
        """Where the stream is noted as one that has our group; most shards of a cluster have no registry."""
        if _geartrain.CLUSTER:
            return keys.shard_streams(_geartrain.tag().encode(), self._id)
        return keys.streams(self._id)

    def _move(self, verb: str) -> None:
        known = () if self._entries_read is None else ("ENTRIESREAD", self._entries_read)
        self._database.call("XGROUP", verb, self._name, self._group, self.last or "0-0", *known)

    def _made_anew(self) -> None:
        """The function, or somebody, removed the group or the stream; a group is made again where it can be."""
        try:
            self._move("CREATE")
        except CommandError:
            self.last = None

    def _find(self) -> dict[str, Any] | None:
        for flat in self._database.call("XINFO", "GROUPS", self._name):
            group = fields_of(flat)
            name = group["name"]
            if (name if isinstance(name, bytes) else name.encode()) == self._group:
                return group
        return None

    def _beginning(self, newest: str) -> str:
        begin = self._deployment.beginning
        # '$' is what comes after the registration, and something may have come before the stream was looked at.
        late = begin.after == "$" and id_parts(begin.registered) < id_parts(newest)
        return begin.registered if late else begin.after

    def _trim(self) -> None:
        """Delete what every group of the stream is done with."""
        call = self._database.call
        lowest = []
        for flat in call("XINFO", "GROUPS", self._name):
            group = fields_of(flat)
            milliseconds, sequence = id_parts(group["last-delivered-id"])
            # MINID keeps the entry of that id, which is done too: one further.
            lowest.append((milliseconds, sequence + 1))
            if group["pending"]:
                lowest.append(id_parts(call("XPENDING", self._name, group["name"])[1]))
        milliseconds, sequence = min(lowest)
        if sequence < 2**64:
            call("XTRIM", self._name, "MINID", f"{milliseconds}-{sequence}")
