"""What a script asks for: checked, in one spelling, and the name of the environment that has it."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from geartrain.errors import ArgumentError

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The minor version of this Python; an environment is one version's."""

_LOCATION = re.compile(r"[a-z][a-z0-9+.-]*://|git\+|/", re.IGNORECASE)
_ARCHIVE = re.compile(r"\.(whl|zip|tar\.gz|tgz)$", re.IGNORECASE)


def normalised(requirements: Iterable[str]) -> tuple[str, ...]:
    """Requirements in one spelling, each once, in order; empty ones and comments are left out.

    Args:
        requirements: each as pip takes it: `name`, `name==1.0`, `name[extra]>=2 ; python_version < "3.13"`,
            `name @ URL`, a URL, an absolute path of a wheel or a source archive, or a wheel's file name, to be found in
            GEARTRAIN_WHEELS.

    Raises:
        ArgumentError: one of them is something else, an option of pip, say.
    """
    if isinstance(requirements, str):
        raise ArgumentError(f"requirements: {requirements!r} is one string; write a list of them")
    return tuple(sorted({text for item in requirements if (text := _normal(item))}))


def _normal(item: str) -> str:
    if not isinstance(item, str):
        raise ArgumentError(f"requirements: {item!r} is no string, for example 'requests>=2'")
    text = _without_comment(item)
    if not text:
        return ""
    if text.startswith("-") or not text.isprintable():
        raise ArgumentError(
            f"requirements: {text!r} is no requirement; options of pip belong into its configuration, where workers run"
        )
    try:
        found = parsed(text)
    except InvalidRequirement as error:
        what = " ".join(str(error).split())
        raise ArgumentError(f"requirements: {text!r} is none that pip would understand: {what}") from error
    return _location(text) if found is None else _written(found)


def parsed(requirement: str) -> Requirement | None:
    """A requirement by name; None: it is a path, a URL or a file's name.

    Raises:
        InvalidRequirement: neither.
    """
    if _LOCATION.match(requirement) or (_ARCHIVE.search(requirement) and "@" not in requirement):
        return None
    return Requirement(requirement)


def _written(requirement: Requirement) -> str:
    """In our own spelling: that of `packaging` depends on its version, and machines may have several."""
    text = str(canonicalize_name(requirement.name))
    if requirement.extras:
        text += f"[{','.join(sorted(requirement.extras))}]"
    text += ",".join(sorted(str(item) for item in requirement.specifier))
    if requirement.url:
        text += f" @ {requirement.url}"
    return f"{text} ; {requirement.marker}" if requirement.marker else text


def _location(text: str) -> str:
    """A path or a URL, as it is."""
    if not _LOCATION.match(text) and "/" in text:
        raise ArgumentError(
            f"requirements: {text!r} is a relative path, and workers run elsewhere: write an absolute one, or the"
            " file's name, and set GEARTRAIN_WHEELS to its folder where workers run"
        )
    return text


def _without_comment(line: str) -> str:
    return re.sub(r"(^|\s)#.*", "", line).strip()


def environment_of(requirements: tuple[str, ...], salt: str = "", python: str = PYTHON) -> str:
    """The name of the environment for these requirements; '' where there are none.

    Args:
        requirements: normalised.
        salt: where packages are to be installed anew though there is such an environment: `new_salt()`.
        python: the minor version of Python.
    """
    if not requirements:
        return ""
    digest = blake2b("\n".join((python, *requirements, salt)).encode(), digest_size=8).hexdigest()
    return f"{digest}-{salt}" if salt else digest


def new_salt() -> str:
    """What makes an environment another one than all before it, and a later one: the time, in milliseconds, as hex."""
    return f"{time.time_ns() // 1_000_000:012x}"


def latest_of(requirements: tuple[str, ...], known: Mapping[str, tuple[str, ...]]) -> str:
    """The environment of requirements: of those that are known, the one whose salt is the latest.

    Args:
        requirements: normalised.
        known: environments with their requirements, of other requirements and other Pythons too.
    """
    salts = ["", *(name.partition("-")[2] for name in known if fits(name, requirements))]
    return environment_of(requirements, max(salts))


def fits(environment: str, requirements: tuple[str, ...]) -> bool:
    """Whether that is a name of the environment of these requirements, for this Python."""
    return environment == environment_of(requirements, environment.partition("-")[2])


def read_file(path: str | os.PathLike[str]) -> list[str]:
    """The requirements in a file such as requirements.txt, one on a line; a relative path is one beside the file.

    Raises:
        ArgumentError: it cannot be read, or says more than requirements (`-r other.txt`, `--index-url ...`).
    """
    file = Path(path)
    try:
        lines = file.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"requirements: {os.fspath(path)!r} cannot be read: {error}") from error
    found = []
    for number, line in enumerate(lines, 1):
        text = _without_comment(line)
        if text.startswith("-"):
            raise ArgumentError(
                f"{file}, line {number}: {text!r} is an option of pip; options belong into its own configuration, where"
                " workers run"
            )
        if text:
            is_relative = "/" in text and _ARCHIVE.search(text) and not _LOCATION.match(text) and "@" not in text
            found.append(str((file.parent / text).resolve()) if is_relative else text)
    return found
