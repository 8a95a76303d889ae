"""Commands that are put off: packed at the call, sent together later. The extension has the same in C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geartrain.extension import extension
from geartrain.runtime.arguments import accepted, usual
from geartrain.wire import Argument, pack

if TYPE_CHECKING:
    import _geartrain_records


class Commands:
    """Of one connection.

    Attributes:
        pending: those whose replies have not been read, each with the place of its call.
        sites: the calls of `execute` that are put off; of use in C only.
    """

    def __init__(self) -> None:
        self.pending: list[tuple[Any, Any]] = []
        self.sites: _geartrain_records.Sites | None = None
        self._packed: list[bytes] = []

    @property
    def unsent(self) -> int:
        """How many have been added since the last `take`."""
        return len(self._packed)

    def add(self, command: str | bytes, args: tuple[Argument, ...], at: Any) -> int:
        """Add a command, called at `at`; returns how many are to be sent.

        Raises:
            ArgumentError: an argument of a type that a command does not take.
        """
        words = usual(command, args)
        self._packed.append(pack(words))
        self.pending.append((words[0], at))
        return len(self._packed)

    def add_to_lane(self, command: str | bytes, args: tuple[Argument, ...], at: Any) -> Any:
        """The same on a cluster, in C only: the lane where it is full now, else None. False: `Lanes` is to do it."""
        del command, args, at
        return False

    def route(self, lanes: list[Any], order: list[Any], places: dict[str | bytes, int], most: int) -> None:
        """Where calls add commands by themselves on a cluster; of use in C only."""

    def take(self) -> bytes:
        """Those that were added since the last call, to be sent now."""
        packed, self._packed = self._packed, []
        return b"".join(packed)


def commands() -> Commands | _geartrain_records.Commands:
    """New ones."""
    return Commands() if extension is None else extension.Commands(accepted)
