"""What a session needs: packages, and the environment that has them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from geartrain.environments import environment_of, latest_of, new_salt, normalised
from geartrain.errors import CommandError
from geartrain.wire import Access, Shard

_ASK = (
    "import json, sys; from geartrain.environments import missing; print(json.dumps(missing(json.loads(sys.argv[1]))))"
)
_DEADLINE = 20.0
"""Seconds that the server's Python may take to say what is installed."""

_LOCAL = re.compile(r"127\.|localhost\b|\[?::1\b|/|unix:")


@dataclass(frozen=True, slots=True)
class Needs:
    """What a session needs.

    Attributes:
        requirements: packages, normalised.
        environment: that has them; '' where there are none.
    """

    requirements: tuple[str, ...] = ()
    environment: str = ""


def needs_of(
    requirements: Iterable[str], known: Callable[[], Mapping[str, tuple[str, ...]]], *, reinstall: bool = False
) -> Needs:
    """What a session with these requirements needs.

    Args:
        requirements: as `environments.normalised` takes them.
        known: gives the environments of the registry (`Store.environments`); of several for these requirements, the one
            that was asked for last is taken.
        reinstall: the packages are to be installed anew, in an environment of their own; sessions that run keep theirs.

    Raises:
        ArgumentError: one of them is no requirement.
    """
    wanted = normalised(requirements)
    if not wanted:
        return Needs()
    return Needs(wanted, environment_of(wanted, new_salt()) if reinstall else latest_of(wanted, known()))


def lacking_in_server(link: Access, requirements: Iterable[str]) -> list[str] | None:
    """Those requirements that some server's Python has not, which functions of `mode='sync'` import from.

    The server's interpreter is asked, in a process of its own. None: the server is on another machine, and it cannot be
    told from here.
    """
    wanted = list(requirements)
    lacking: dict[str, None] = {}
    for shard in link.shards:
        found = _lacking(link, shard, wanted)
        if found is None:
            return None
        lacking |= dict.fromkeys(found)
    return list(lacking)


def _lacking(link: Access, shard: Shard, wanted: list[str]) -> list[str] | None:
    if not _LOCAL.match(str(shard.primary)):
        return None
    try:
        info = str(link.on(shard).call("INFO", "geartrain"))
    except CommandError:
        return None
    told = re.search(r"^geartrain_sync_executable:(.+?)\r?$", info, re.MULTILINE)
    if told is None or not os.access(told[1], os.X_OK):
        return None
    try:
        done = subprocess.run(  # noqa: S603 - the interpreter that the server itself uses
            [told[1], "-E", "-P", "-c", _ASK, json.dumps(wanted)], capture_output=True, check=True, timeout=_DEADLINE
        )
        found = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return [str(item) for item in found]
