"""Which commands and keys this user is refused: each command that a worker needs is tried, where it changes nothing.

The server checks permissions after the number of arguments and before everything else, so any other answer than NOPERM
means that the command is allowed. Rejected: ACL DRYRUN, which only users may call who may do everything anyway, and
which servers have since 7.0.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from geartrain import keys
from geartrain.cli.health.finding import Finding, failed, ok, warning
from geartrain.errors import CommandError
from geartrain.text import shown
from geartrain.wire import Argument, Command, ErrorReply, Link

CHECK = "permissions"

CLUSTER_RULES = "ACL SETUSER USER +cluster|slots +cluster|info +cluster|nodes +command"
"""What grants a user what has to be asked before anything else."""

_RETURN_1 = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
"""The SHA-1 of the Lua script `return 1`."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A command to try.

    Attributes:
        command: with all of its arguments.
        rule: what an ACL rule calls it, for example `xgroup|create`.
        key: the pattern that an ACL rule needs for its key; '' where it has none.
    """

    command: Command
    rule: str
    key: str = ""


def check_permissions(
    link: Link, streams: Iterable[tuple[str, bytes]], keys_readers: int, *, clustered: bool, called: bool = False
) -> Iterator[Finding]:
    """Try what workers and `register` do.

    A cluster's node that does not serve a key's slot checks permissions all the same before it says so.

    Args:
        link: a connection.
        streams: (pattern, stream or pattern) of each StreamReader registration.
        keys_readers: how many KeysReader registrations there are.
        clustered: whether it is a node of a cluster.
        called: whether something registered needs that the server module hands out calls.
    """
    user = _user(link)
    scratch = keys.VERSION.replace(b"version", b"doctor:" + secrets.token_hex(4).encode())
    refused = _refused(link, [*_general(), *_registry(scratch), *(_cluster() if clustered else ())])
    link.pipeline([("DEL", scratch)])
    for pattern, stream in streams:
        refused += _refused(link, _stream(pattern, stream))
    if refused:
        yield failed(CHECK, f"user {user!r} is refused {_named(refused)}", _fix(user, refused))
    else:
        yield ok(CHECK, f"user {user!r} may do what a worker does; what steps `execute` is not tried")
    refused = _refused(link, _module())
    if refused:
        text = f"user {user!r} is refused {_named(refused)}: workers need that for RG.* commands, triggers and hooks"
        yield (failed if called else warning)(CHECK, text, _fix(user, refused))
    yield from _check_channels(link, user, keys_readers)


def _named(refused: list[Trial]) -> str:
    patterns = _patterns(refused)
    return ", ".join(_rules(refused)) + (f" on {', '.join(patterns)}" if patterns else "")


def _fix(user: str, refused: list[Trial]) -> str:
    words = [f"+{rule}" for rule in _rules(refused)] + [f"~{pattern}" for pattern in _patterns(refused)]
    return f"ACL SETUSER {user} {' '.join(words)}"


def _rules(refused: list[Trial]) -> list[str]:
    return list(dict.fromkeys(trial.rule for trial in refused))


def _patterns(refused: list[Trial]) -> list[str]:
    return list(dict.fromkeys(trial.key for trial in refused if trial.key))


def _check_channels(link: Link, user: str, keys_readers: int) -> Iterator[Finding]:
    channel = f"__keyevent@{link.endpoint.database}__:*"
    with Link(link.endpoint) as listener:
        reply = listener.pipeline([("PSUBSCRIBE", channel)])[0]
    if isinstance(reply, ErrorReply):
        text = f"user {user!r} may not subscribe to {channel}, where the events of KeysReader registrations come"
        # Only a hint hangs on the text: 6.2 refuses a channel rule for a user who has all channels already.
        rules = f"&{channel}" if "channel" in reply.text else "+psubscribe +subscribe"
        fix = f"ACL SETUSER {user} {rules}"
        yield (failed if keys_readers else warning)(CHECK, text, fix)


def _general() -> list[Trial]:
    return [
        _trial("PING"),
        _trial("TIME"),
        _trial("SCAN", "0", "COUNT", "1"),
        _trial("MULTI"),
        _trial("EXEC"),
        _trial("UNWATCH"),
        Trial(("SCRIPT", "LOAD", "return 1"), "script|load"),
        _trial("EVAL", "return 1", "0"),
        _trial("EVALSHA", _RETURN_1, "0"),
    ]


def _cluster() -> list[Trial]:
    """What is asked of a cluster's nodes besides; the answers change nothing, and TRACKING is off anyway."""
    return [
        Trial(("CLUSTER", "SLOTS"), "cluster|slots"),
        Trial(("CLUSTER", "INFO"), "cluster|info"),
        Trial(("CLUSTER", "NODES"), "cluster|nodes"),
        Trial(("COMMAND", "COUNT"), "command"),
        Trial(("CLIENT", "TRACKING", "OFF"), "client|tracking"),
        _trial("HELLO"),
        _trial("ASKING"),
    ]


def _module() -> list[Trial]:
    """The server module's commands, with too few words or too many: they do nothing. One without it knows none of them.

    GEARTRAIN.HOOK is tried where the module is looked at.
    """
    names = ("config", "serve", "answer", "return", "call", "next", "link")
    return [*(_trial(f"GEARTRAIN.{name.upper()}") for name in names), _trial("GEARTRAIN.UNHOOKED", "doctor")]


def _registry(scratch: bytes) -> list[Trial]:
    """On a key of our own, which is removed afterwards, and expires where it may not be removed."""
    lease = keys.lease("doctor", b"doctor")
    commands: list[Command] = [
        ("SET", scratch, "1", "PX", 60_000),
        ("GET", scratch),
        ("GET", lease),
        ("INCR", scratch),
        ("PEXPIRE", scratch, 60_000),
        ("EXISTS", scratch),
        ("TYPE", scratch),
        ("WATCH", scratch),
        # The key holds a number: where these are allowed, they fail and change nothing.
        ("HSET", scratch, "field", "1"),
        ("HGET", scratch, "field"),
        ("HGETALL", scratch),
        ("HEXISTS", scratch, "field"),
        ("HINCRBY", scratch, "field", 1),
        ("HMGET", scratch, "field"),
        ("HDEL", scratch, "field"),
        ("LPUSH", scratch, "1"),
        ("LRANGE", scratch, 0, 0),
        ("LTRIM", scratch, 0, 0),
        ("SADD", scratch, "1"),
        ("SREM", scratch, "1"),
        ("SMEMBERS", scratch),
        ("ZADD", scratch, 1, "1"),
        ("ZCARD", scratch),
        ("ZRANGE", scratch, 0, 0),
        ("ZREM", scratch, "1"),
        ("XADD", scratch, "*", "field", "1"),
        ("DEL", scratch),
    ]
    return [Trial(command, str(command[0]).lower(), "geartrain:*") for command in commands] + [_trial("UNWATCH")]


def _stream(pattern: str, stream: bytes) -> list[Trial]:
    """On a user's stream: reads, and writes that name a group that is not there, or an id that is none."""
    group = "geartrain:doctor"
    commands: list[tuple[str, Command]] = [
        ("type", ("TYPE", stream)),
        ("exists", ("EXISTS", stream)),
        ("xread", ("XREAD", "COUNT", 1, "STREAMS", stream, "0-0")),
        ("xrange", ("XRANGE", stream, "-", "+", "COUNT", 1)),
        ("xinfo|stream", ("XINFO", "STREAM", stream)),
        ("xinfo|groups", ("XINFO", "GROUPS", stream)),
        ("xgroup|create", ("XGROUP", "CREATE", stream, group, "no-id")),
        ("xgroup|setid", ("XGROUP", "SETID", stream, group, "no-id")),
        ("xgroup|destroy", ("XGROUP", "DESTROY", stream, group)),
        ("xtrim", ("XTRIM", stream, "MINID", "no-id")),
        ("xpending", ("XPENDING", stream, group)),
    ]
    return [Trial(command, rule, pattern) for rule, command in commands]


def _trial(*command: Argument) -> Trial:
    return Trial(command, str(command[0]).lower())


def _refused(link: Link, trials: list[Trial]) -> list[Trial]:
    replies = link.pipeline([trial.command for trial in trials])
    return [trial for trial, reply in zip(trials, replies, strict=True) if _is_refusal(reply)]


def _is_refusal(reply: object) -> bool:
    # Not only at the start: a refused EXEC says `EXECABORT ... because of: NOPERM ...`.
    return isinstance(reply, ErrorReply) and "NOPERM" in reply.text


def _user(link: Link) -> str:
    """The user's name; what the server calls `default` where it may not be asked."""
    try:
        return shown(link.call("ACL", "WHOAMI"))
    except CommandError:
        return "default"
