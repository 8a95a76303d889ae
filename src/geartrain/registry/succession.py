"""Which registrations of a submission go on with what those of the session before it have left: offsets, outboxes.

In the dialect redisgears-1.2 an id tells nothing of its registration (`<40 characters>-<number>`). So the registrations
of a submission are matched with those of the session that it upgrades or replaces: the same reader and pattern, in the
order of the script.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

from geartrain.registry.records import Registration

_GENERATED = re.compile(r"[0-9a-f]{40}-\d+")

UNNAMED = ""
"""The id of a registration that is to get one."""


def is_generated(registration: Registration) -> bool:
    """Whether its id was made up, rather than given by its user."""
    if _GENERATED.fullmatch(registration.id):
        return True
    # Of earlier versions, which made them from the session's name in this dialect too.
    return registration.id.startswith(f"{registration.session}/{registration.reader}:{registration.pattern}")


def predecessors(wanted: Sequence[Registration], before: Iterable[Registration]) -> list[str]:
    """For each wanted registration its id, or the one that it takes over; UNNAMED where it needs a new one.

    Args:
        wanted: what is submitted, in the order of the script.
        before: the registrations of the session, or sessions, that it takes the place of.
    """
    taken = {item.id for item in wanted}
    waiting: dict[tuple[str, str], deque[str]] = defaultdict(deque)
    for item in sorted(before, key=lambda item: item.position):
        if item.id not in taken and is_generated(item):
            waiting[item.reader, item.pattern].append(item.id)
    return [item.id or _first(waiting[item.reader, item.pattern]) for item in wanted]


def _first(ids: deque[str]) -> str:
    return ids.popleft() if ids else UNNAMED
