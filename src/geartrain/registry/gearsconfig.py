"""RedisGears' settings, as far as workers heed them: given to the server module at its load, or set since.

What was set since (`RG.CONFIGSET`, the hash `geartrain:{registry}:config`) wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from geartrain import keys
from geartrain.errors import CommandError
from geartrain.registry.executions import Limits
from geartrain.wire import Access

_GIVEN = "GEARTRAIN.CONFIG"


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
    given = {str(name).lower(): value for name, value in _given(link).items()}
    stored = link.call("HMGET", keys.CONFIG, *names)
    found = {name: given.get(name.lower()) if now is None else now for name, now in zip(names, stored, strict=True)}
    limits = Limits()
    return GearsConfig(
        Limits(
            _number(found["MaxExecutions"], limits.executions),
            _number(found["MaxExecutionsPerRegistration"], limits.per_registration),
        ),
        _number(found["ExecutionMaxIdleTime"], 0) / 1000,
        bool(_number(found["PythonAttemptTraceback"], 1)),
        _number(found["PythonInstallReqMaxIdleTime"], 0) / 1000,
    )


def _given(link: Access) -> Mapping[object, object]:
    """What the module was given; nothing where there is none, or it may not be asked."""
    try:
        flat = link.at_home().call(_GIVEN)
    except CommandError:
        return {}
    if isinstance(flat, dict):
        return flat
    return dict(zip(flat[::2], flat[1::2], strict=True)) if isinstance(flat, list) else {}


def _number(value: object, default: int) -> int:
    """A setting's number; what is none counts as not set."""
    try:
        return max(0, int(str(value)))
    except ValueError:
        return default
