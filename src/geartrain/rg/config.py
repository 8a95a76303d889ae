"""RedisGears' settings by their documented names, and those that users keep beside them.

    given at the module's load (`GEARTRAIN.CONFIG`)  <──  set since (RG.CONFIGSET, the hash `config`)  <──  asked for

What was set since wins. Names may be written in any case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from geartrain import keys
from geartrain.config import Dialect
from geartrain.environments.pip import MAX_IDLE
from geartrain.errors import RgError
from geartrain.readers.entries import fields_of
from geartrain.registry import gearsconfig
from geartrain.wire import Access


@dataclass(frozen=True, slots=True)
class Option:
    """A setting of RedisGears.

    Attributes:
        name: as it is documented.
        default: its value where none was given; an int where it is a number.
        settable: whether it can be set while the server runs.
        least: the smallest number.
    """

    name: str
    default: int | str
    settable: bool = False
    least: int = 0


OPTIONS = (
    Option("MaxExecutions", 1000, settable=True, least=1),
    Option("MaxExecutionsPerRegistration", 100, settable=True, least=1),
    Option("ProfileExecutions", 0, settable=True),
    Option("PythonAttemptTraceback", 1, settable=True),
    Option("DownloadDeps", 1),
    Option("DependenciesUrl", ""),
    Option("DependenciesSha256", ""),
    Option("PythonInstallationDir", ""),
    Option("CreateVenv", 0),
    Option("ExecutionThreads", 3),
    Option("ExecutionMaxIdleTime", 5000, settable=True),
    # RedisGears' own default is 30 s; a package that has to be compiled may need more.
    Option("PythonInstallReqMaxIdleTime", round(MAX_IDLE * 1000), settable=True),
    Option("SendMsgRetries", 3, settable=True),
    Option("Plugin", ""),
    # Geartrain's own: whether RG.DUMPREGISTRATIONS tells durations and lags. redgrease refuses what it does not know.
    Option("RegistrationDurations", 0, settable=True),
)

_BY_NAME = {option.name.lower(): option for option in OPTIONS}


class Config:
    """The settings at one moment.

    Args:
        given: at the load of the module, by name in lower case.
        stored: set since, by name.
    """

    def __init__(self, given: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
        self._given = given
        self._stored = stored

    @classmethod
    def read(cls, link: Access) -> Config:
        """The settings now."""
        return cls(gearsconfig.given(link), fields_of(link.call("HGETALL", keys.CONFIG)))

    @property
    def dialect(self) -> Dialect:
        """Of scripts that do not say theirs."""
        try:
            return Dialect(str(self._given.get("dialect", Dialect.GEARTRAIN)))
        except ValueError:
            return Dialect.GEARTRAIN

    def __getitem__(self, name: str) -> int | str | bytes:
        """The value of a setting, in any case, or of one that users have set.

        Raises:
            RgError: there is none.
        """
        option = _BY_NAME.get(name.lower())
        if option is None:
            if name not in self._stored:
                raise RgError(f"Unsupported config parameter: {name}")
            kept: str | bytes = self._stored[name]
            return kept
        value = self._stored.get(option.name, self._given.get(name.lower()))
        if isinstance(option.default, str):
            return option.default if value is None else value
        return gearsconfig.number(value, option.default)

    def set_number(self, name: str) -> int:
        """The value of a setting that is a number; 0 where it was not set, whatever its default is said to be."""
        option = _BY_NAME[name.lower()]
        return gearsconfig.number(self._stored.get(option.name, self._given.get(name.lower())), 0)

    def number(self, name: str) -> int:
        """The value of a setting that is a number."""
        value = self[name]
        return value if isinstance(value, int) else 0


def settable(name: str, value: str | bytes) -> str:
    """The name under which a value is kept.

    Raises:
        RgError: it cannot be set while the server runs, or to that value.
    """
    option = _BY_NAME.get(name.lower())
    if option is None:
        return name
    if not option.settable:
        raise RgError(f"{option.name} can only be set when the module is loaded")
    try:
        number = int(value)
    except ValueError:
        raise RgError(f"{option.name}: {value!r} is no number") from None
    if number < option.least:
        raise RgError(f"{option.name}: {number} is too small; it must be {option.least} or more")
    return option.name


def is_ours(name: str) -> bool:
    """Whether it is a setting of RedisGears, rather than one of its users'."""
    return name.lower() in _BY_NAME
