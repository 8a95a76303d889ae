"""`geartrain register`: submit a script's registrations."""

from __future__ import annotations

import click

from geartrain.cli.options import json_option, submission_options, url_option
from geartrain.cli.output import print_json
from geartrain.cli.plain import plain
from geartrain.cli.scripting import script_output, tell_submitted, warn
from geartrain.client import Client, SessionTerms
from geartrain.config import Dialect
from geartrain.errors import GeartrainError


@click.command(name="register")
@click.argument("script", type=click.Path(exists=True, dir_okay=False))
@url_option()
@submission_options
@json_option("what changed")
def command(
    script: str,
    url: str | None,
    session: str | None,
    dialect: Dialect,
    terms: SessionTerms,
    requirements: list[str],
    reinstall: bool,
    as_json: bool,
) -> None:
    """Run SCRIPT and submit what it registers; workers take it up within a second.

    Submitting a session again upgrades it: registrations that are still there take the new code and keep their offsets
    and statistics, new ones start, missing ones are removed.
    """
    with Client(url) as client, script_output(as_json=as_json):
        outcome = client.submit_file(script, session, dialect, terms, requirements=requirements, reinstall=reinstall)
    if outcome.submitted is None:
        raise GeartrainError(
            f"{script} registers nothing: nothing was submitted, and what was registered before stays. `geartrain exec"
            f" {script}` is for scripts that only run()"
        )
    warn(outcome)
    if as_json:
        print_json(plain(outcome.submitted) | {"registered": outcome.registered, "warnings": outcome.warnings})
    else:
        tell_submitted(outcome)
