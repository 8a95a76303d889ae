"""Where environments lie on this machine, and what is known about each.

    <root>/<environment>-<origin>/     root: GEARTRAIN_ENVIRONMENTS, or geartrain/environments in the user's cache
        lock         held by the process that makes it
        state.json   written at the end, in one step: ready, or failed; which of the directories it is; when it was used
        1/, 2/, ...  virtual environments; all but that one are remains

Nothing refers to a directory before it is complete. It is never renamed: scripts in it hold its path. `origin` is the
Python installation that it was made of, and borrows Geartrain from: workers of two installations on one machine do not
share.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path

from geartrain.errors import RequirementsError

DIRECTORY_VARIABLE = "GEARTRAIN_ENVIRONMENTS"
"""The environment variable with the directory of environments, instead of the user's cache."""

WHEELS_VARIABLE = "GEARTRAIN_WHEELS"
"""The environment variable with a folder of wheels: packages come from there, and from no index."""

logger = logging.getLogger("geartrain.environments")

_POLL = 0.1
"""Seconds between two looks at a lock that another process has."""


class State(StrEnum):
    """What became of an environment on this machine.

    ABSENT ──make──> MAKING ──> READY
                       └──────> FAILED ──make again──> MAKING
    """

    ABSENT = "absent"
    MAKING = "making"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package that was installed.

    Attributes:
        name: normalised.
        version: of the package.
        file: of the wheel, or of the archive that it was built of.
        requires: what it requires itself, as its metadata say.
    """

    name: str
    version: str
    file: str
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """An environment on this machine.

    Attributes:
        environment: its name.
        state: what became of it.
        requirements: that it is for; () while it is not known.
        since: Unix time in seconds of the end of the last attempt.
        directory: of its virtual environment, within its place; '' where it is not ready.
        message: why it failed; '' where it did not.
        output: pip's, its end.
        wheels: what was installed.
    """

    environment: str
    state: State
    requirements: tuple[str, ...] = ()
    since: float = 0.0
    directory: str = ""
    message: str = ""
    output: str = ""
    wheels: tuple[Wheel, ...] = ()


class Place:
    """The directory of one environment.

    Args:
        environment: its name.
    """

    def __init__(self, environment: str) -> None:
        self.environment = environment
        self.path = root() / f"{environment}-{_origin()}"

    def read(self) -> Status:
        """What is known; MAKING is not told here.

        Raises:
            RequirementsError: it cannot be read, though it is there; nobody should take that for an environment that is
                missing, and make it again.
        """
        try:
            text = (self.path / "state.json").read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return Status(environment=self.environment, state=State.ABSENT)
        except OSError as error:
            raise RequirementsError(f"{self.path} cannot be read: {error}") from error
        try:
            data = json.loads(text)
            wheels = tuple(Wheel(**{**item, "requires": tuple(item["requires"])}) for item in data.pop("wheels"))
            data |= {"state": State(data["state"]), "requirements": tuple(data["requirements"]), "wheels": wheels}
            status = Status(**data)
        except (ValueError, TypeError, KeyError) as error:
            logger.warning("%s: what was noted is not understood: %s", self.path, error)
            return Status(environment=self.environment, state=State.ABSENT)
        if status.state is State.READY and not self.python(status).exists():
            # The Python that it was made of is gone, say.
            logger.warning("%s: its interpreter is gone", self.path)
            return Status(environment=self.environment, state=State.ABSENT, requirements=status.requirements)
        return status

    def write(self, status: Status) -> None:
        """Keep what is known, in one step."""
        temporary = self.path / "state.new"
        temporary.write_text(json.dumps(asdict(status)), encoding="utf-8")
        temporary.replace(self.path / "state.json")

    def touch(self) -> None:
        """Note that it is in use."""
        with suppress(OSError):
            os.utime(self.path / "state.json")

    def python(self, status: Status) -> Path:
        """The interpreter of a ready environment."""
        return self.path / status.directory / "bin" / "python"

    @contextmanager
    def locked(self, cancelled: Callable[[], bool]) -> Iterator[bool]:
        """Be the only one at it; inside the block, whether that came about before `cancelled`.

        The lock ends with the process that holds it, however that ends.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.path / "lock").open("w") as file:
            while not _locks(file.fileno()):
                if cancelled():
                    yield False
                    return
                time.sleep(_POLL)
            yield True

    @property
    def is_locked(self) -> bool:
        """Whether a process is at it."""
        try:
            with (self.path / "lock").open() as file:
                return not _locks(file.fileno())
        except OSError:
            return False


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def root() -> Path:
    """The directory of all environments.

    Raises:
        RequirementsError: there is none that could be meant.
    """
    given = os.environ.get(DIRECTORY_VARIABLE)
    if given:
        return Path(given).absolute()
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(cache or Path.home() / ".cache") / "geartrain" / "environments"
    except RuntimeError as error:
        raise RequirementsError(
            f"environments have no place: this user has no home directory; set {DIRECTORY_VARIABLE}"
        ) from error


def _origin() -> str:
    return blake2b(f"{Path(sys.prefix).resolve()} {sys.version}".encode(), digest_size=4).hexdigest()


def status_of(environment: str) -> Status:
    """What became of an environment on this machine."""
    place = Place(environment)
    status = place.read()
    if status.state is not State.READY and place.is_locked:
        return Status(environment=environment, state=State.MAKING, requirements=status.requirements)
    return status


def python_of(environment: str) -> str:
    """The path of an environment's interpreter; for '' that of this process.

    Raises:
        RequirementsError: it is not ready on this machine; the message says why.
    """
    if not environment:
        return sys.executable
    place = Place(environment)
    status = place.read()
    if status.state is State.FAILED:
        raise RequirementsError(status.message, status.output)
    if status.state is not State.READY:
        raise RequirementsError(f"the environment {environment} has not been made on this machine ({place.path})")
    place.touch()
    return str(place.python(status))
