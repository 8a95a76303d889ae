"""What the server is, and how it is set: version, role, notifications, clock, persistence, eviction."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from geartrain.cli.health.finding import Finding, failed, ok, warning
from geartrain.errors import CommandError
from geartrain.wire import Link

OLDEST = (6, 2)
"""The oldest server version that has what a worker needs (XGROUP SETID without surprises, SCAN TYPE, COPY events)."""

_CLOCK_TOLERANCE = 1.0
"""Seconds that the clocks may differ before it is worth a word; only times that people read depend on it."""

_NOTIFICATIONS = "notify-keyspace-events"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the server says about itself.

    Attributes:
        info: the fields of INFO (server, replication, persistence, memory); empty where it may not be asked.
        settings: the answers of CONFIG GET; a setting is missing where it may not be asked.
    """

    info: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def product(self) -> str:
        """`Valkey`, `Redis`, or `unknown`."""
        if "valkey_version" in self.info:
            return "Valkey"
        return "Redis" if "redis_version" in self.info else "unknown"

    @property
    def version(self) -> str:
        """For example `9.1.0`, or `unknown`."""
        return self.info.get("valkey_version") or self.info.get("redis_version") or "unknown"


def facts(link: Link) -> Facts:
    """Ask the server."""
    info: dict[str, str] = {}
    for section in ("server", "replication", "persistence", "memory"):
        text = _or_none(link, "INFO", section)
        info |= dict(_fields(text)) if isinstance(text, str) else {}
    settings: dict[str, str] = {}
    for name in (_NOTIFICATIONS, "appendonly", "appendfsync", "save", "maxmemory", "maxmemory-policy"):
        reply = _or_none(link, "CONFIG", "GET", name)
        settings |= dict(zip(reply[::2], reply[1::2], strict=True)) if reply else {}
    return Facts(info, settings)


def check_version(seen: Facts) -> Iterator[Finding]:
    """Product and version."""
    numbers = re.match(r"(\d+)\.(\d+)", seen.version)
    if numbers is None:
        yield warning("server", "the server does not tell its version (INFO is refused); Redis 6.2 is the oldest")
        return
    name = f"{seen.product} {seen.version}"
    if (int(numbers[1]), int(numbers[2])) < OLDEST:
        yield failed("server", f"{name} is too old; Redis 6.2 or Valkey 7.2 is the oldest", "upgrade the server")
    else:
        yield ok("server", name)


def check_role(seen: Facts) -> Iterator[Finding]:
    """Whether the only server is one that takes writes."""
    if seen.info.get("role") == "slave":
        primary = f"{seen.info.get('master_host')}:{seen.info.get('master_port')}"
        yield failed(
            "server",
            "it is a replica, which takes no writes",
            f"--url redis://{primary} (its primary), or redis+sentinel://HOST:PORT/SERVICE",
        )


def check_notifications(link: Link, seen: Facts, keys_readers: int) -> Iterator[Finding]:
    """Whether the server publishes the key events that KeysReader registrations need.

    Args:
        link: a connection.
        seen: what the server says.
        keys_readers: how many registrations need them.
    """
    check = "notifications"
    present = seen.settings.get(_NOTIFICATIONS)
    set_all = f"CONFIG SET {_NOTIFICATIONS} AE"
    if present is None:
        text = f"{_NOTIFICATIONS} cannot be read; KeysReader registrations get events where it has the flags A and E"
        yield warning(check, text, set_all) if keys_readers else ok(check, text)
        return
    missing = "".join(sorted(set("AE") - set(present)))
    shown = f"{_NOTIFICATIONS} is {present!r}"
    if not missing:
        yield ok(check, f"{shown}: every key event is published")
    elif _may_set(link, present):
        yield ok(check, f"{shown}; workers add the flags that KeysReader registrations need")
    elif keys_readers:
        yield failed(
            check,
            f"{shown}, without {missing}, and this user may not set it: {keys_readers} registrations need it",
            set_all,
        )
    else:
        text = f"{shown}, without {missing}, and this user may not set it; a KeysReader registration will need it"
        yield warning(check, text, set_all)


def check_clock(links: Sequence[tuple[str, Link]]) -> Iterator[Finding]:
    """How far our clock is from the servers'.

    Args:
        links: each server's name and connection; '' is the name of the only one.
    """
    differences = []
    for name, link in links:
        measured = _clock_difference(link)
        where = f"{name}: " if name else ""
        whose = f"{name}'s" if name else "the server's"
        if measured is None:
            yield failed("clock", f"{where}TIME is refused: see permissions")
            continue
        difference, uncertain = measured
        if abs(difference) > _CLOCK_TOLERANCE + uncertain:
            text = f"this machine's clock is {-difference:+.1f} s from {whose}; times in `show` are off by that"
            yield warning("clock", text, "synchronise the clocks (NTP)")
        else:
            differences.append(abs(difference))
    if differences and len(differences) == len(links):
        text = "the server's" if len(links) == 1 else f"those of all {len(links)} nodes, or nearer"
        yield ok("clock", f"{max(differences) * 1000:.0f} ms from {text}")


def _clock_difference(link: Link) -> tuple[float, float] | None:
    """Seconds that the server's clock is ahead of ours, and how wrong that may be; None: it does not tell."""
    before = time.time()
    reply = _or_none(link, "TIME")
    after = time.time()
    if reply is None:
        return None
    # Half a round trip is what the measurement cannot see.
    return int(reply[0]) + int(reply[1]) / 1e6 - (before + after) / 2, (after - before) / 2


def check_persistence(seen: Facts) -> Iterator[Finding]:
    """What a crash of the server costs."""
    check = "persistence"
    aof, save = _has_aof(seen), seen.settings.get("save")
    if aof is None:
        yield warning(check, "the server does not tell how it saves its data")
    elif aof:
        sync = seen.settings.get("appendfsync", "")
        lost = {"always": "nothing", "everysec": "about a second", "no": "what the system had not written"}
        yield ok(check, f"append-only file, synced: {sync or 'unknown'}; a crash loses {lost.get(sync, 'little')}")
    elif save:
        text = "snapshots only: a crash of the server loses everything since the last one, offsets included"
        yield warning(check, text, "CONFIG SET appendonly yes")
    elif save is None:
        yield warning(check, "no append-only file: a crash of the server loses data", "CONFIG SET appendonly yes")
    else:
        text = "nothing is saved: a restart of the server loses streams, registrations and offsets"
        yield warning(check, text, "CONFIG SET appendonly yes")


def check_eviction(seen: Facts) -> Iterator[Finding]:
    """Whether the server may throw our keys away when memory is short."""
    check = "eviction"
    limit = seen.settings.get("maxmemory", seen.info.get("maxmemory"))
    policy = seen.settings.get("maxmemory-policy", seen.info.get("maxmemory_policy"))
    if limit is None or policy is None:
        yield warning(check, "the server does not tell its maxmemory-policy; `noeviction` is the safe one")
    elif policy.startswith("allkeys"):
        now = "" if limit != "0" else " (once maxmemory is set; it is not)"
        text = f"maxmemory-policy is {policy}: registrations and streams may be evicted{now}"
        yield warning(check, text, "CONFIG SET maxmemory-policy noeviction")
    elif policy.startswith("volatile") and limit != "0":
        text = f"maxmemory-policy is {policy}: leases may be evicted, and the batch that is under way runs twice"
        yield warning(check, text, "CONFIG SET maxmemory-policy noeviction")
    else:
        yield ok(check, f"maxmemory {limit if limit != '0' else 'not set'}, policy {policy}")


def _has_aof(seen: Facts) -> bool | None:
    if "appendonly" in seen.settings:
        return seen.settings["appendonly"] == "yes"
    return seen.info["aof_enabled"] == "1" if "aof_enabled" in seen.info else None


def _may_set(link: Link, present: str) -> bool:
    """Whether CONFIG SET is allowed: sets what is set already."""
    return _or_none(link, "CONFIG", "SET", _NOTIFICATIONS, present) is not None


def _or_none(link: Link, *command: str) -> Any:
    """The reply, or None where the server refuses."""
    try:
        return link.call(*command)
    except CommandError:
        return None


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            yield name, value
