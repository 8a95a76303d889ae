"""Profiles of sessions: what cProfile has counted in their executions, added up (`ProfileExecutions`).

Kept as JSON, never pickled or marshalled: nobody has to trust it.
"""

from __future__ import annotations

import io
import json
import pstats
from cProfile import Profile
from typing import Any

from geartrain import keys
from geartrain.text import to_bytes
from geartrain.wire import Access

_EXPIRY_MS = 7 * 24 * 3600 * 1000
"""Milliseconds that a profile outlives the last execution that was added."""


COLUMNS = ("tottime", "cumtime", "calls", "ncalls", "pcalls", "name", "nfl", "filename", "line", "module", "stdname")
"""What a profile can be ordered by."""


def add(link: Access, session: str, profile: Profile) -> None:
    """Add what was counted to a session's profile."""
    key = keys.profile(session)
    stats = _stats(None)
    stats.add(profile)
    while True:
        link.call("WATCH", key)
        kept = link.call("GET", key)
        if kept is not None:
            stats.add(_stats(to_bytes(kept)))
        if link.transaction([("SET", key, _text(stats), "PX", _EXPIRY_MS)]) is not None:
            return


def read(link: Access, session: str) -> pstats.Stats | None:
    """A session's profile; None where there is none."""
    kept = link.call("GET", keys.profile(session))
    return None if kept is None else _stats(to_bytes(kept))


def reset(link: Access, session: str) -> None:
    """Forget a session's profile."""
    link.call("DEL", keys.profile(session))


def shown(stats: pstats.Stats, order: str) -> str:
    """A profile as text: functions, who called them, whom they called.

    Args:
        stats: the profile.
        order: the column to order by.

    Raises:
        KeyError: there is no such column.
    """
    out = io.StringIO()
    printed: Any = stats
    printed.stream = out
    stats.sort_stats(order)
    stats.print_stats()
    stats.print_callers()
    stats.print_callees()
    return out.getvalue()


def _stats(kept: bytes | None) -> pstats.Stats:
    made: Any = pstats.Stats(stream=io.StringIO())
    if kept is not None:
        made.stats = {
            tuple(function): (*numbers, {tuple(caller): tuple(counts) for caller, counts in callers})
            for function, numbers, callers in json.loads(kept)
        }
        made.get_top_level_stats()
    stats: pstats.Stats = made
    return stats


def _text(stats: Any) -> str:
    return json.dumps(
        [
            [list(function), list(numbers), [[list(caller), list(counts)] for caller, counts in callers.items()]]
            for function, (*numbers, callers) in stats.stats.items()
        ]
    )
