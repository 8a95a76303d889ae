"""Options that several subcommands have, as decorators, so that they are the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from geartrain.client import SessionTerms
from geartrain.config import DEFAULT_URL, URL_VARIABLE, Dialect
from geartrain.environments import read_file

__all__ = [
    "URL_VARIABLE",
    "dialect_option",
    "json_option",
    "requirements_options",
    "session_option",
    "submission_options",
    "url_option",
]

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")


def url_option(
    help: str = f"The server. [default: ${URL_VARIABLE}, or {DEFAULT_URL}]",  # noqa: A002 - click's word
) -> Callable[[F], F]:
    """`--url URL`, argument `url: str | None`: None where neither it nor GEARTRAIN_URL is given."""
    return click.option("--url", envvar=URL_VARIABLE, metavar="URL", help=help)


def json_option(what: str) -> Callable[[F], F]:
    """`--json`, argument `as_json: bool`; `what` is printed as JSON."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what} as JSON (docs/reference/cli-json.md).")


def session_option() -> Callable[[F], F]:
    """`--session NAME`, argument `session: str | None`: the name of the session that a script is submitted as."""
    return click.option("--session", metavar="NAME", help="The session's name. [default: the script's name]")


def requirements_options(command: F) -> F:
    """`--requirements FILE --reinstall`, arguments `requirements: list[str]`, `reinstall: bool`."""
    file = click.option(
        "--requirements",
        type=click.Path(exists=True, dir_okay=False),
        callback=lambda _context, _parameter, value: read_file(value) if value else [],
        metavar="FILE",
        help="Packages that its functions import, as in requirements.txt; workers install them.",
    )
    anew = click.option("--reinstall", is_flag=True, help="Let workers install these packages anew.")
    return file(anew(command))


def _terms_options(command: Callable[..., R]) -> Callable[..., R]:
    """`--description TEXT --new --replace NAME`, argument `terms: SessionTerms`."""

    @wraps(command)
    def termed(*args: Any, description: str | None, new: bool, replaced: str | None, **kwargs: Any) -> R:
        terms = SessionTerms(description=description, upgrade=not new, replaces=replaced)
        return command(*args, terms=terms, **kwargs)

    text = click.option("--description", metavar="TEXT", help="What the session is for.")
    new = click.option("--new", is_flag=True, help="Refuse where there is a session of that name already.")
    replace = click.option(
        "--replace",
        "replaced",
        metavar="NAME",
        help="Another session, whose place this one takes; registrations that are in both go on where they were.",
    )
    return text(new(replace(termed)))


def dialect_option() -> Callable[[F], F]:
    """`--dialect D`, argument `dialect: Dialect`."""
    return click.option(
        "--dialect",
        type=click.Choice([item.value for item in Dialect]),
        default=Dialect.GEARTRAIN.value,
        show_default=True,
        callback=lambda _context, _parameter, value: Dialect(value),
        help="The record format and the defaults that the script expects.",
    )


def submission_options(command: Callable[..., R]) -> Callable[..., R]:
    """What can be said of a script that is submitted: `session`, `dialect`, `terms`, `requirements` and `reinstall`."""
    return session_option()(dialect_option()(_terms_options(requirements_options(command))))
