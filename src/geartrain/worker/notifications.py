"""The server's setting `notify-keyspace-events`: which flags an event needs, and turning them on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from geartrain.errors import CommandError
from geartrain.wire import Link

_SETTING = "notify-keyspace-events"

_CLASSES: Mapping[str, frozenset[str]] = {
    "g": frozenset(
        ["del", "expire", "rename_from", "rename_to", "copy_to", "restore", "move_from", "move_to", "persist"]
    ),
    "$": frozenset(
        [
            "set",
            "setrange",
            "incrby",
            "incrbyfloat",
            "append",
            "setex",
            "psetex",
            "getset",
            "mset",
            "getdel",
            "getex",
            "msetex",
        ]
    ),
    "l": frozenset(["lpush", "rpush", "lpop", "rpop", "linsert", "lset", "lrem", "ltrim", "sortstore"]),
    "h": frozenset(
        ["hset", "hincrby", "hincrbyfloat", "hdel", "hexpire", "hpersist", "hexpired", "hgetdel", "hgetex", "hsetex"]
    ),
    "s": frozenset(["sadd", "srem", "spop", "sinterstore", "sunionstore", "sdiffstore"]),
    "z": frozenset(
        [
            "zadd",
            "zincr",
            "zincrby",
            "zrem",
            "zremrangebyscore",
            "zremrangebyrank",
            "zremrangebylex",
            "zinterstore",
            "zunionstore",
            "zdiffstore",
            "zrangestore",
            "zpopmin",
            "zpopmax",
        ]
    ),
    "t": frozenset(
        [
            "xadd",
            "xtrim",
            "xdel",
            "xsetid",
            "xgroup-create",
            "xgroup-createconsumer",
            "xgroup-delconsumer",
            "xgroup-destroy",
            "xgroup-setid",
        ]
    ),
    "x": frozenset(("expired",)),
    "e": frozenset(("evicted",)),
    "m": frozenset(("keymiss",)),
    "n": frozenset(("new",)),
}
"""Which class of the server's setting has which events."""

_ALL = frozenset("g$lshzxet")
"""What the class `A` stands for, as far as it concerns us (modules' own events apart)."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What we are not permitted to turn on.

    Attributes:
        line: what to set on the server.
        known: whether it is missing for certain; else we are not permitted to look either.
    """

    line: str
    known: bool


def classes_for(events: Iterable[str] | None) -> frozenset[str]:
    """The classes of the server's setting that are needed for these events; None: all events."""
    if events is None:
        return _ALL
    needed = {flag for flag, names in _CLASSES.items() for event in events if event in names}
    unknown = [event for event in events if not any(event in names for names in _CLASSES.values())]
    return frozenset(needed) | (_ALL if unknown else frozenset())


def missing_flags(setting: str, needed: frozenset[str]) -> str:
    """What has to be added to the server's setting; '' where nothing is missing."""
    present = set(setting) | (_ALL if "A" in setting else set())
    missing = (needed | {"E"}) - present
    if missing >= _ALL:
        missing = (missing - _ALL) | {"A"}
    return "".join(sorted(missing))


def ensure_notifications(link: Link, needed: frozenset[str]) -> Missing | None:
    """Turn on what is needed, where we may; returns None, or what the user has to do."""
    try:
        reply = link.call("CONFIG", "GET", _SETTING)
        setting = reply[1] if reply else ""
    except CommandError:
        setting = None
    missing = missing_flags(setting or "", needed)
    if setting is not None and not missing:
        return None
    wanted = "".join(sorted(set((setting or "") + missing)))
    try:
        link.call("CONFIG", "SET", _SETTING, wanted)
    except CommandError:
        return Missing(f"{_SETTING} {wanted}", known=setting is not None)
    return None
