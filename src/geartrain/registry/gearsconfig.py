"""RedisGears' settings, as far as workers heed them: given to the server module at its load, or set since.

What was set since (`RG.CONFIGSET`, the hash `geartrain:{registry}:config`) wins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from geartrain import keys
from geartrain.config import given_options
from geartrain.errors import CommandError
from geartrain.registry.executions import Limits
from geartrain.wire import Access


@dataclass(frozen=True, slots=True)
class GearsConfig:
    """What concerns executions, and the installation of requirements.

    Attributes:
        limits: how many executions are kept.
        max_idle: seconds without progress after which an execution is aborted; 0: never. Only where it was set:
            RedisGears counts a thread that computes as busy, and here only finished records can be seen.
        traceback: whether errors are shown with their traceback (PythonAttemptTraceback).
        install_max_idle: seconds that pip may go on without progress; 0: as ever (`environments.pip.MAX_IDLE`).
    """

    limits: Limits = field(default_factory=Limits)
    max_idle: float = 0.0
    traceback: bool = True
    install_max_idle: float = 0.0


def read(link: Access) -> GearsConfig:
    """The settings now."""
    names = (
        "MaxExecutions",
        "MaxExecutionsPerRegistration",
        "ExecutionMaxIdleTime",
        "PythonAttemptTraceback",
        "PythonInstallReqMaxIdleTime",
    )
    found = given(link)
    stored = link.call("HMGET", keys.CONFIG, *names)
    values = {name: found.get(name.lower()) if now is None else now for name, now in zip(names, stored, strict=True)}
    limits = Limits()
    return GearsConfig(
        Limits(
            number(values["MaxExecutions"], limits.executions),
            number(values["MaxExecutionsPerRegistration"], limits.per_registration),
        ),
        number(values["ExecutionMaxIdleTime"], 0) / 1000,
        bool(number(values["PythonAttemptTraceback"], 1)),
        number(values["PythonInstallReqMaxIdleTime"], 0) / 1000,
    )


def given(link: Access) -> dict[str, Any]:
    """What the module was given, by name in lower case; nothing where there is none, or it may not be asked."""
    try:
        return given_options(link.at_home().call("GEARTRAIN.CONFIG"))
    except CommandError:
        return {}


def number(value: object, default: int) -> int:
    """A setting's number; what is none counts as not set."""
    try:
        return max(0, int(str(value)))
    except ValueError:
        return default
