"""What a script has registered, made ready for the registry."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

from geartrain.client.host import SessionHost
from geartrain.client.scripts import Script
from geartrain.config import Dialect
from geartrain.registry import Code, Parcel, Registration, Session, Terms, seal
from geartrain.registry.succession import UNNAMED


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTerms:
    """How a session is submitted.

    Attributes:
        description: what its user says of it, or None.
        upgrade: a session of the same name is upgraded; otherwise it is an error that there is one.
        replaces: the name of another session, whose place the new one takes, or None: registrations that are in both go
            on where they were.
        empties: where nothing is registered, that too takes the place of the session that was there: it is removed.
        requirements: the packages that it needs.
        environment: of these requirements (`geartrain.environments`).
        user: the ACL user who registers; None: the one who is connected.
    """

    description: str | None = None
    upgrade: bool = True
    replaces: str | None = None
    empties: bool = False
    requirements: tuple[str, ...] = ()
    environment: str = ""
    user: str | None = None

    @property
    def terms(self) -> Terms:
        """What the registry has to know of them."""
        return Terms(self.upgrade, self.replaces)


def prepared(
    host: SessionHost, modules: Iterable[ModuleType], script: Script, terms: SessionTerms, user: str
) -> tuple[Session, list[Registration], Parcel]:
    """The session, its registrations and their code.

    Args:
        host: has collected them.
        modules: that workers may lack.
        script: where they come from.
        terms: how they are submitted.
        user: the ACL user who registers.

    Raises:
        CodeError: something cannot be pickled.
    """
    codes = [Code(request.steps, request.on_registered) for request in host.requests.values()]
    parcel = seal(host.outcome.session, codes, modules, terms.requirements)
    session = Session(
        name=host.outcome.session,
        version=0,
        updated=time.time(),
        python=parcel.python,
        dialect=host.dialect,
        script=script.path,
        description=terms.description,
        requirements=terms.requirements,
        environment=terms.environment,
    )
    return session, _records(host, session, user), parcel


def _records(host: SessionHost, session: Session, user: str) -> list[Registration]:
    return [
        Registration(
            id=UNNAMED if host.dialect is Dialect.REDISGEARS_1_2 and request.name is None else registration,
            session=host.outcome.session,
            reader=request.reader,
            pattern=request.pattern,
            mode=request.mode,
            description=request.description,
            dialect=host.dialect,
            arguments=request.arguments,
            position=position,
            code_version=0,
            python=session.python,
            user=user,
            environment=session.environment,
            convert=request.convert,
            collect=request.collect,
        )
        for position, (registration, request) in enumerate(host.requests.items())
    ]
