"""`geartrain exec`: run a script once and print the results of its `run()` calls."""

from __future__ import annotations

import sys
from typing import Any

import click

from geartrain.cli.options import json_option, submission_options, url_option
from geartrain.cli.output import note, print_json
from geartrain.cli.plain import line, plain
from geartrain.cli.scripting import script_output, tell_submitted, warn
from geartrain.client import Client, Outcome, SessionTerms
from geartrain.config import Dialect

_SESSION = "exec"


@click.command(name="exec")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("-c", "code", metavar="CODE", help="Run this code instead of a file.")
@url_option()
@submission_options
@json_option("the results")
@click.pass_context
def command(
    context: click.Context,
    file: str | None,
    code: str | None,
    url: str | None,
    session: str | None,
    dialect: Dialect,
    terms: SessionTerms,
    requirements: list[str],
    reinstall: bool,
    as_json: bool,
) -> None:
    """Run FILE (or CODE, or standard input) and print the results of its run() calls, one on a line.

    What it registers is submitted, as `geartrain register` does. In the dialect redisgears-1.2 a step that raises drops
    its record: its errors are printed behind the results, on standard error, and the exit code is 1.
    """
    if file is not None and code is not None:
        raise click.UsageError("FILE and -c CODE cannot both be given.")
    with Client(url) as client, script_output(as_json=as_json):
        if file is not None and file != "-":
            outcome = client.submit_file(file, session, dialect, terms, requirements=requirements, reinstall=reinstall)
        else:
            source, path = (code, "<command>") if code is not None else (_standard_input(file), "<stdin>")
            outcome = client.execute(
                source,
                session=session or _SESSION,
                path=path,
                dialect=dialect,
                terms=terms,
                requirements=requirements,
                reinstall=reinstall,
            )
    warn(outcome)
    if as_json:
        print_json(_as_json(outcome))
    else:
        _tell(outcome)
    if outcome.errors:
        context.exit(1)


def _tell(outcome: Outcome) -> None:
    tell_submitted(outcome, err=True)
    for result in outcome.results:
        click.echo(line(result))
    for error in outcome.errors:
        note(f"error: {error}")


def _standard_input(file: str | None) -> str:
    if file is None and sys.stdin.isatty():
        raise click.UsageError("Give a FILE, -c CODE, or code on standard input.")
    return sys.stdin.read()


def _as_json(outcome: Outcome) -> dict[str, Any]:
    made: dict[str, Any] = plain(outcome)
    return made
