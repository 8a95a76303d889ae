"""RG.PYEXECUTE: from its arguments to the task of an executor."""

from __future__ import annotations

import re
from dataclasses import dataclass

from geartrain.client import SessionTerms
from geartrain.client.needs import needs_of
from geartrain.config import Dialect
from geartrain.errors import RgError
from geartrain.registry.executions import Limits
from geartrain.registry.sequence import new_id
from geartrain.registry.submission import check
from geartrain.rg.arguments import Words, count, text, upper
from geartrain.rg.messages import Task
from geartrain.rg.server import Server
from geartrain.worker.serving import Call

_FLAGS = ("UNBLOCKING", "UPGRADE", "FORCE_REINSTALL_REQUIREMENTS")
_VALUES = ("ID", "DESCRIPTION", "REPLACE_WITH", "DIALECT")
_REST = "REQUIREMENTS"
_KNOWN = (
    "UNBLOCKING, ID id, DESCRIPTION text, UPGRADE, REPLACE_WITH id, DIALECT name, FORCE_REINSTALL_REQUIREMENTS,"
    " REQUIREMENTS requirement ..."
)

_COMMENT = re.compile(r"(^|\s)#.*")

_AROUND = re.compile(r"\s*(===|==|>=|<=|~=|!=|<|>|,)\s*")
"""What joins a name and its versions."""


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments.

    Attributes:
        source: the script.
        flags: those of UNBLOCKING, UPGRADE, FORCE_REINSTALL_REQUIREMENTS that were given.
        values: of ID, DESCRIPTION, REPLACE_WITH, DIALECT, as far as they were given.
        requirements: as they were written.
    """

    source: str
    flags: frozenset[str]
    values: dict[str, str]
    requirements: tuple[str, ...]


def parsed(words: Words) -> Request:
    """The arguments of the command, whose name is the first word.

    Raises:
        RgError: one is unknown, given twice, or lacks its value.
    """
    count(words, 2)
    flags: set[str] = set()
    values: dict[str, str] = {}
    requirements: tuple[str, ...] | None = None
    rest = iter(words[2:])
    for word in rest:
        name = upper(word)
        if name in flags or name in values:
            raise RgError(f"{name} was given twice")
        if name in _FLAGS:
            flags.add(name)
        elif name in _VALUES:
            values[name] = _value(name, next(rest, None))
        elif name == _REST:
            requirements = _requirements([text(_REST, item) for item in rest])
        else:
            raise RgError(f"{text('argument', word)!r} is no argument of RG.PYEXECUTE; these are {_KNOWN}")
    return Request(text("the script", words[1]), frozenset(flags), values, requirements or ())


def task_of(call: Call, server: Server) -> Task:
    """What is to be done for a call.

    Raises:
        RgError: its arguments are wrong.
        ArgumentError: its session is there already, or the one that it is to replace is not.
    """
    request = parsed(call.args)
    config = server.config
    dialect = _dialect(request.values.get("DIALECT"), config.dialect)
    session = request.values.get("ID") or new_id(server.link)
    needs = needs_of(
        request.requirements, server.store.environments, reinstall="FORCE_REINSTALL_REQUIREMENTS" in request.flags
    )
    terms = SessionTerms(
        description=request.values.get("DESCRIPTION"),
        upgrade="UPGRADE" in request.flags,
        replaces=request.values.get("REPLACE_WITH"),
        empties="UPGRADE" in request.flags or "REPLACE_WITH" in request.values,
        requirements=needs.requirements,
        environment=needs.environment,
        user=call.user,
    )
    # Before the script runs; it is checked again when it is submitted.
    check(server.link, session, terms.terms)
    return Task(
        source=request.source,
        session=session,
        dialect=dialect,
        terms=terms,
        blocking="UNBLOCKING" not in request.flags,
        traceback=bool(config.number("PythonAttemptTraceback")),
        limits=Limits(config.number("MaxExecutions"), config.number("MaxExecutionsPerRegistration")),
        pip_idle=config.number("PythonInstallReqMaxIdleTime") / 1000,
        profile=bool(config.number("ProfileExecutions")),
        max_idle=config.set_number("ExecutionMaxIdleTime") / 1000,
    )


def _value(name: str, word: str | bytes | None) -> str:
    if word is None:
        raise RgError(f"{name} has no value")
    return text(name, word)


def _requirements(words: list[str]) -> tuple[str, ...]:
    """Several arguments, or several in one, as the documentation has them; `a >= 1` and `a @ url` are one each.

    gears-cli sends the lines of a file as they are, comments and empty ones too.
    """
    found: list[str] = []
    for line in words:
        word = _COMMENT.sub("", line)
        whole = "@" in word or ";" in word
        found += [word.strip()] if whole else _AROUND.sub(r"\1", word).split()
    if not found:
        raise RgError(f"{_REST} is followed by requirements, and none came")
    return tuple(found)


def _dialect(name: str | None, default: Dialect) -> Dialect:
    if name is None:
        return default
    try:
        return Dialect(name)
    except ValueError:
        raise RgError(f"DIALECT: {name!r} is none; these are {', '.join(Dialect)}") from None
