"""Which key decides where a command goes: the first one that it names.

The server's own table of commands (`COMMAND`) says where keys stand. For the few commands whose first key is somewhere
else each time, the usual ones are known here, and for the rest the server is asked (`COMMAND GETKEYS`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from geartrain.text import to_bytes
from geartrain.wire.channel import Argument

Words = Sequence[Argument]


class CommandKeys:
    """The first keys of commands, by the table of one server. Thread-safe: it is only read.

    Args:
        table: the reply of `COMMAND`.
        ask: gives the reply of `COMMAND GETKEYS` for a command; [] where it has none.
    """

    def __init__(self, table: Sequence[Any], ask: Callable[[Words], Sequence[Any]]) -> None:
        self._positions: dict[bytes, int] = {}
        self._movable: set[bytes] = set()
        self._containers: set[bytes] = set()
        self._ask = ask
        for entry in table:
            self._add(entry)

    def _add(self, entry: Sequence[Any]) -> None:
        name = to_bytes(entry[0]).lower()
        self._positions[name] = int(entry[3])
        if any(to_bytes(flag) == b"movablekeys" for flag in entry[2]):
            self._movable.add(name)
        # Since Redis 7 a command with subcommands says for each of them where its keys are: `xinfo|groups`.
        for subcommand in entry[9] if len(entry) > 9 else ():
            self._containers.add(name)
            self._add(subcommand)

    def place(self, name: Argument) -> int | None:
        """Where the first key of every command of that name stands; None: `first` is to look at the command."""
        word = _word(name)
        if word in _FINDERS or word in self._movable or word in self._containers:
            return None
        return self._positions.get(word) or None

    def first(self, command: Words) -> bytes | None:
        """The first key of a command; None: it has none."""
        name = _word(command[0])
        position = self._positions.get(name)
        if name in _FINDERS:
            return _FINDERS[name](command)
        if position == 0 and len(command) > 1:
            whole = name + b"|" + _word(command[1])
            position = self._positions.get(whole, 0)
            if whole in self._movable:
                position = None
        if name in self._movable and not position:
            position = None
        if position is None:
            found = self._ask(command)
            return to_bytes(found[0]) if found else None
        if position <= 0 or position >= len(command):
            return None
        return _key(command[position])


def _word(value: Argument) -> bytes:
    return (value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")).lower()


def _key(value: Argument) -> bytes:
    return to_bytes(value) if isinstance(value, str | bytes) else str(value).encode()


def _counted(at: int) -> Callable[[Words], bytes | None]:
    """For commands that say at `at` how many keys follow."""

    def find(command: Words) -> bytes | None:
        if len(command) <= at + 1 or _word(command[at]) == b"0":
            return None
        return _key(command[at + 1])

    return find


def _behind(word: bytes) -> Callable[[Words], bytes | None]:
    """For commands whose keys follow a word."""

    def find(command: Words) -> bytes | None:
        words = [_word(item) for item in command]
        at = words.index(word) + 1 if word in words else len(words)
        return _key(command[at]) if at < len(command) else None

    return find


_FINDERS: Mapping[bytes, Callable[[Words], bytes | None]] = {
    **dict.fromkeys((b"eval", b"evalsha", b"eval_ro", b"evalsha_ro", b"fcall", b"fcall_ro"), _counted(2)),
    **dict.fromkeys((b"blmpop", b"bzmpop"), _counted(2)),
    **dict.fromkeys((b"zunion", b"zinter", b"zdiff", b"sintercard", b"zintercard", b"lmpop", b"zmpop"), _counted(1)),
    **dict.fromkeys((b"xread", b"xreadgroup"), _behind(b"streams")),
}
