"""Sessions as plain data, and what a submission may do to those that are there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from geartrain.config import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A submitted script.

    Attributes:
        name: unique in the database.
        version: counts its submissions, from 1.
        updated: Unix time in seconds of the last one.
        python: the minor version of Python that pickled its code.
        dialect: its record format.
        script: the script's path as it was given, or `-`.
        description: what its user says of it, or None.
        requirements: the packages that it needs, normalised (`geartrain.environments`).
        environment: of these requirements; '' where there are none.
    """

    name: str
    version: int
    updated: float
    python: str
    dialect: Dialect
    script: str
    description: str | None = None
    requirements: tuple[str, ...] = ()
    environment: str = ""

    @classmethod
    def from_json(cls, text: str) -> Session:
        """From what is kept."""
        data = json.loads(text)
        data["dialect"] = Dialect(data["dialect"])
        data["requirements"] = tuple(data.get("requirements", ()))
        return cls(**data)

    def to_json(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Submitted:
    """What a submission changed: ids of registrations."""

    session: str
    added: tuple[str, ...]
    upgraded: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """What may become of a session that is there already.

    Attributes:
        upgrade: a session of the same name is upgraded; otherwise it is an error that there is one.
        replaces: the name of another session, whose place the new one takes, or None.
    """

    upgrade: bool = True
    replaces: str | None = None

    def sessions(self, name: str) -> set[str]:
        """The sessions that make way for `name`."""
        return {name} if self.replaces is None else {name, self.replaces}
