"""What subcommands that run a script in this process share."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import click

from geartrain.cli.output import log_to_stderr, note
from geartrain.client import Outcome


@contextlib.contextmanager
def script_output(*, as_json: bool) -> Iterator[None]:
    """While a script runs: what it logs goes to standard error; with JSON, what it prints too."""
    log_to_stderr()
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        yield


def warn(outcome: Outcome) -> None:
    """Say the outcome's warnings."""
    for warning in outcome.warnings:
        note(f"warning: {warning}")


def tell_submitted(outcome: Outcome, *, err: bool = False) -> None:
    """Say what a submission changed; on standard error with `err`."""
    submitted = outcome.submitted
    if submitted is None:
        return
    changes = {"added": submitted.added, "upgraded": submitted.upgraded, "removed": submitted.removed}
    summary = ", ".join(f"{len(ids)} {what}" for what, ids in changes.items() if ids)
    click.echo(f"session {outcome.session}: {summary}", err=err)
    for what, ids in changes.items():
        for registration in ids:
            click.echo(f"  {what:<8}  {registration}", err=err)
