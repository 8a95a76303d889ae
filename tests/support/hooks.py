"""The server module as commands show it: hooks that tests set by themselves, and what is in their outboxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geartrain.text import to_bytes

if TYPE_CHECKING:
    from geartrain.wire import Argument, Command, Link


VALUES = {
    "string": ([("SET", "k", b"\x00\xff\r\n")], b"\x00\xff\r\n"),
    "list": ([("RPUSH", "k", "a", b"\xff", "")], ["a", b"\xff", ""]),
    "hash": ([("HSET", "k", "f", "v", b"\xff", "")], {"f": "v", b"\xff": ""}),
    "set": ([("SADD", "k", "a", "b", b"\xff")], {"a", "b", b"\xff"}),
    "zset": ([("ZADD", "k", 1.5, "a", "-inf", "b", 1e300, "c")], {"b": float("-inf"), "a": 1.5, "c": 1e300}),
    "stream": ([("XADD", "k", "1-1", "f", "v", "g", b"\xff")], [("1-1", {"f": "v", "g": b"\xff"})]),
}
"""By type: commands that write a key `k`, one event altogether, and the value that workers make of its snapshot."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an outbox.

    Attributes:
        event: the event's name.
        key: the key; bytes, as everything here that a user may have chosen.
        type: the key's type.
        value: the bytes of the snapshot, or None.
    """

    event: str
    key: bytes
    type: str
    value: bytes | None = None


@dataclass(frozen=True, slots=True)
class HookState:
    """One line of GEARTRAIN.HOOK LIST."""

    id: str
    version: str
    error: str
    captured: int
    dropped: int
    aborted: int = 0


def setting(hook: Argument, *, version: Argument = 1, **fields: Argument) -> Command:
    """The command that sets a hook."""
    return ("GEARTRAIN.HOOK", "SET", hook, version, *(word for field in fields.items() for word in field))


def set_hook(link: Link, hook: Argument = "h", **fields: Argument) -> None:
    """Set a hook; fields as `GEARTRAIN.HOOK SET` takes them."""
    assert link.call(*setting(hook, **fields)) == "OK"


def listing(link: Link) -> dict[str, Any]:
    """What GEARTRAIN.HOOK LIST answers, by name."""
    flat = link.call("GEARTRAIN.HOOK", "LIST")
    return dict(zip(flat[::2], flat[1::2], strict=True))


def hooks(link: Link) -> dict[str, HookState]:
    """The hooks of the connection's database, by id."""
    return {item[0]: HookState(*item) for item in listing(link)["hooks"]}


def outbox(link: Link, hook: str = "h", partition: int | None = None) -> str:
    """The name of a hook's outbox."""
    number = "" if partition is None else f"-{partition}"
    return f"geartrain:{{{listing(link)['tag']}}}:outbox{number}:{hook}"


def raw_entries(link: Link, hook: str = "h", partition: int | None = None) -> list[Any]:
    """An outbox as XRANGE shows it, ids included."""
    return list(link.call("XRANGE", outbox(link, hook, partition), "-", "+"))


def entries(link: Link, hook: str = "h", partition: int | None = None) -> list[Entry]:
    """What a hook has captured, in order."""
    return [_entry(fields) for _, fields in raw_entries(link, hook, partition)]


def captured(link: Link, hook: str = "h", partition: int | None = None) -> list[tuple[str, bytes]]:
    """The events and keys that a hook has captured, in order."""
    return [(entry.event, entry.key) for entry in entries(link, hook, partition)]


def information(link: Link, section: str) -> dict[str, str]:
    """A section of INFO, by name (the module's: `geartrain`, its names with `geartrain_` before them)."""
    lines = str(link.call("INFO", section)).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _entry(fields: list[Any]) -> Entry:
    found = {str(name): to_bytes(value) for name, value in zip(fields[::2], fields[1::2], strict=True)}
    assert list(found) in (["event", "key", "type"], ["event", "key", "type", "value"]), f"an entry of {list(found)}"
    return Entry(found["event"].decode(), found["key"], found["type"].decode(), found.get("value"))
