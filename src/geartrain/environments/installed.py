"""What is installed: in this process's environment, and in those of requirements."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from geartrain.environments.place import State, Status, Wheel, status_of
from geartrain.environments.requirements import parsed
from geartrain.errors import RequirementsError


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementInfo:
    """A requirement of sessions, on this machine.

    Attributes:
        version: how many environments were made with it: 1, and one more for each that was asked for anew.
        name: the requirement, normalised.
        downloaded: whether its wheels were found.
        installed: whether they were installed.
        wheels: file names of its wheels, and of all that they require.
    """

    version: int
    name: str
    downloaded: bool
    installed: bool
    wheels: tuple[str, ...]


def requirement_infos(environments: Mapping[str, Iterable[str]]) -> list[RequirementInfo]:
    """All requirements, by name.

    Args:
        environments: the requirements of each environment, normalised.
    """
    found: dict[str, list[Status]] = {}
    for environment, requirements in environments.items():
        status = status_of(environment)
        for requirement in requirements:
            found.setdefault(requirement, []).append(status)
    return [_info(name, statuses) for name, statuses in sorted(found.items())]


def _info(name: str, statuses: list[Status]) -> RequirementInfo:
    latest = max(statuses, key=lambda status: (status.state is State.READY, status.since))
    ready = latest.state is State.READY
    return RequirementInfo(
        version=len({status.environment for status in statuses if "-" in status.environment}) + 1,
        name=name,
        downloaded=ready,
        installed=ready,
        wheels=wheels_of(name, latest.wheels) if ready else (),
    )


def wheels_of(requirement: str, wheels: Sequence[Wheel]) -> tuple[str, ...]:
    """Names of the files that a requirement brought, its own first, then what these require."""
    by_name = {wheel.name: wheel for wheel in wheels}
    found: dict[str, None] = {}
    waiting = [*_roots(requirement, wheels)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop(0)
        wheel = by_name.get(name)
        if wheel is None or (name, extras) in seen:
            continue
        seen.add((name, extras))
        found[wheel.file] = None
        waiting += [(canonicalize_name(item.name), frozenset(item.extras)) for item in applying(wheel.requires, extras)]
    return tuple(found)


def _roots(requirement: str, wheels: Sequence[Wheel]) -> list[tuple[str, frozenset[str]]]:
    found = parsed(requirement)
    if found is None:
        file = file_of(requirement)
        return [(wheel.name, frozenset()) for wheel in wheels if wheel.file == file]
    return [(canonicalize_name(found.name), frozenset(found.extras))]


def file_of(location: str) -> str:
    """The file's name at the end of a path or a URL."""
    return PurePosixPath(unquote(urlsplit(location).path)).name


def applying(requires: Iterable[str], extras: Collection[str] = ()) -> Iterator[Requirement]:
    """Those requirements of a package that hold here, with these extras."""
    for text in requires:
        try:
            item = Requirement(text)
        except InvalidRequirement:
            continue
        if item.marker is None or any(item.marker.evaluate({"extra": extra}) for extra in extras or ("",)):
            yield item


def missing(requirements: Iterable[str], path: list[str] | None = None) -> list[str]:
    """Those requirements that are not installed.

    Args:
        requirements: normalised. Of a URL or a path nobody can tell whether it is what is installed, but for that of a
            wheel, whose name holds its version.
        path: where to look; None: where this process imports from.
    """
    there: dict[str, Distribution] = {canonicalize_name(item.name): item for item in _distributions(path)}
    return [item for item in requirements if not _satisfied(item, there)]


def _distributions(path: list[str] | None) -> list[Distribution]:
    found = list(distributions() if path is None else distributions(path=path))
    # What is found first is what is imported.
    return [item for item in reversed(found) if item.metadata["Name"]]


_WHEEL = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(-\d[^-]*)?-[^-]+-[^-]+-[^-]+\.whl")


def _satisfied(requirement: str, there: Mapping[str, Distribution]) -> bool:
    wanted = parsed(requirement)
    if wanted is None:
        wheel = _WHEEL.fullmatch(file_of(requirement))
        if wheel is None:
            return False
        wanted = Requirement(f"{wheel['name']}=={wheel['version']}")
    return wanted.url is None and _holds(wanted, there, set())


def _holds(requirement: Requirement, there: Mapping[str, Distribution], seen: set[str]) -> bool:
    """Whether a requirement is fulfilled, and what its extras require."""
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return True
    found = there.get(canonicalize_name(requirement.name))
    if found is None or not requirement.specifier.contains(found.version, prereleases=True):
        return False
    if not requirement.extras or str(requirement) in seen:
        return True
    seen.add(str(requirement))
    needed = applying(found.requires or (), requirement.extras)
    return all(_holds(Requirement(_without_marker(item)), there, seen) for item in needed)


def _without_marker(requirement: Requirement) -> str:
    return str(requirement).partition(";")[0]


def borrowed_wheels(requirements: Iterable[str]) -> tuple[Wheel, ...]:
    """What this process has installed of requirements; which files it came from nobody knows any more."""
    there = {canonicalize_name(item.name): item for item in _distributions(None)}
    found: dict[str, Wheel] = {}
    waiting = [name for item in requirements for name in _names(item)]
    while waiting:
        name = waiting.pop()
        item = there.get(name)
        if item is None or name in found:
            continue
        needed = tuple(item.requires or ())
        found[name] = Wheel(name, item.version, f"{item.name}-{item.version}", needed)
        waiting += [canonicalize_name(other.name) for other in applying(needed)]
    return tuple(found.values())


def _names(requirement: str) -> list[NormalizedName]:
    wanted = parsed(requirement)
    if wanted is not None:
        return [canonicalize_name(wanted.name)]
    wheel = _WHEEL.fullmatch(file_of(requirement))
    return [canonicalize_name(wheel["name"])] if wheel is not None else []


def refuse_sync(pattern: str, lacking: Iterable[str]) -> RequirementsError:
    """The error for a function in the server that needs what is not installed there."""
    return RequirementsError(
        f"register({pattern!r}): mode='sync' runs in the server's own Python, where {', '.join(lacking)} is not"
        " installed, and pip does not run there. Install it into the environment that the server module lies in, and"
        " restart the server; or register with mode='async': workers get an environment with these requirements"
    )
