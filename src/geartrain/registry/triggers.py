"""Names of triggers: RG.TRIGGER finds a registration by one, so a name is one registration's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from geartrain.builder import CommandArguments, RegisterRequest
from geartrain.errors import ArgumentError
from geartrain.registry.records import Registration


def trigger_of(item: Registration | RegisterRequest) -> str | None:
    """The name by which a registration is called; None: it has none."""
    return item.arguments.trigger if isinstance(item.arguments, CommandArguments) else None


def refuse_taken(
    wanted: Iterable[Registration | RegisterRequest], sessions: Collection[str], existing: Mapping[str, Registration]
) -> None:
    """Refuse triggers that are taken.

    Args:
        wanted: what is to be registered.
        sessions: those that make way for it.
        existing: what is registered, by id.

    Raises:
        ArgumentError: a trigger is wanted twice, or is that of another session. Clients know the words it begins with.
    """
    taken = {trigger_of(item): key for key, item in existing.items() if item.session not in sessions}
    seen: set[str] = set()
    for item in wanted:
        trigger = trigger_of(item)
        if trigger is None:
            continue
        if trigger in seen:
            raise ArgumentError(f"trigger already registered: {trigger!r}, by this script; choose another name")
        if trigger in taken:
            raise ArgumentError(
                f"trigger already registered: {trigger!r} is that of {taken[trigger]}, session"
                f" {existing[taken[trigger]].session!r}; unregister it, or replace that session, or choose another name"
            )
        seen.add(trigger)
