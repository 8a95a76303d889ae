"""`geartrain ls`: the registrations."""

from __future__ import annotations

import click

from geartrain.cli.options import json_option, url_option
from geartrain.cli.output import note, print_json, print_table
from geartrain.cli.plain import plain
from geartrain.client import Client, RegistrationInfo

_COLUMNS = ("ID", "STATUS", "DELIVERY", "TRIGGERED", "SUCCEEDED", "FAILED", "LAG", "LAST ERROR")
_ERROR_LENGTH = 80


@click.command(name="ls")
@url_option()
@json_option("an array of registrations")
def command(url: str | None, as_json: bool) -> None:
    """List the registrations, and how they fare."""
    with Client(url) as client:
        found = client.registrations()
    if as_json:
        print_json(plain(found))
    elif found:
        print_table(_COLUMNS, [_row(info) for info in found])
    else:
        note("no registrations; `geartrain register SCRIPT` makes some")


def _row(info: RegistrationInfo) -> list[str]:
    counters = [str(number) for number in (info.triggered, info.succeeded, info.failed)]
    lag = "-" if info.lag is None else str(info.lag)
    return [info.id, info.status.value, info.delivery.value, *counters, lag, _short(info.last_error)]


def _short(error: str | None) -> str:
    text = " ".join((error or "-").split())
    return text if len(text) <= _ERROR_LENGTH else text[: _ERROR_LENGTH - 3] + "..."
