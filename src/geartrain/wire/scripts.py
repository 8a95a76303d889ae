"""Lua scripts, sent by their digest and loaded where a server does not have them yet."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from geartrain.wire.channel import Argument, Command


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script.

    Attributes:
        source: its text.
        sha: its SHA-1, by which `EVALSHA` names it.
    """

    source: bytes
    sha: str

    @classmethod
    def of(cls, package: str, *names: str) -> Script:
        """The script in a file of `package`; of several files, one after the other: what scripts share comes first."""
        source = b"\n".join(resources.files(package).joinpath(name).read_bytes() for name in names)
        return cls(source, hashlib.sha1(source, usedforsecurity=False).hexdigest())


ScriptCall = tuple[Script, Sequence[Argument], Sequence[Argument]]
"""A script, its keys, its arguments."""


def evalsha(call: ScriptCall) -> Command:
    """The command that runs a script which the server has."""
    script, keys, args = call
    return ("EVALSHA", script.sha, len(keys), *keys, *args)


def evaluate(call: ScriptCall) -> Command:
    """The command that runs a script by its text."""
    script, keys, args = call
    return ("EVAL", script.source, len(keys), *keys, *args)
