"""Lua scripts, sent by their digest and loaded where a server does not have them yet."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources


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
    def of(cls, package: str, name: str) -> Script:
        """The script in file `name` of `package`."""
        source = resources.files(package).joinpath(name).read_bytes()
        return cls(source, hashlib.sha1(source, usedforsecurity=False).hexdigest())
