"""`geartrain show`: all that is known about one registration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from geartrain.cli.options import json_option, url_option
from geartrain.cli.output import print_json, print_table
from geartrain.cli.plain import plain
from geartrain.client import Client, RegistrationDetails
from geartrain.text import shown

_SHOWN_EXECUTIONS = 10


@click.command(name="show")
@click.argument("registration", metavar="ID")
@url_option()
@json_option("the registration")
def command(registration: str, url: str | None, as_json: bool) -> None:
    """Show a registration: arguments, statistics, streams with lag and owner, last executions, last error, source.

    ID is its id, or a part of it that no other id has.
    """
    with Client(url) as client:
        found = client.show(client.find(registration))
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found)


def _as_json(found: RegistrationDetails) -> dict[str, Any]:
    """One object: what `ls` shows, and the rest beside it."""
    made: dict[str, Any] = plain(found)
    info: dict[str, Any] = made.pop("info")
    return info | made


def _print(found: RegistrationDetails) -> None:
    click.echo(found.info.id)
    facts = asdict(found.info) | {"script": found.script, "submitted_at": found.submitted_at, "owner": found.owner}
    if found.requirements:
        facts |= {"requirements": found.requirements, "environment": found.environment}
    del facts["id"]
    for name in ("submitted_at", "last_error_at"):
        facts[name] = None if facts[name] is None else _time(facts[name])
    _print_facts({name: value for name, value in facts.items() if value is not None})
    _heading("arguments")
    _print_facts(found.arguments)
    _print_partitions(found)
    _print_history(found)
    if found.last_trace:
        _heading("last error")
        click.echo(_indented(found.last_trace))
    if found.source:
        _heading(f"source of {found.script}")
        click.echo(_indented(found.source))


def _print_partitions(found: RegistrationDetails) -> None:
    if found.shards:
        _heading("shards")
        _print_rows(
            ("SHARD", "STREAMS", "LAG"),
            [(item.shard, str(item.streams), _or_dash(item.lag)) for item in found.shards],
        )
    if found.partitions:
        _heading("streams")
        rows = [
            [shown(item.stream), _or_dash(item.shard), _or_dash(item.lag), _or_dash(item.owner)]
            for item in found.partitions
        ]
        if found.shards:
            _print_rows(("STREAM", "SHARD", "LAG", "OWNER"), rows)
        else:
            _print_rows(("STREAM", "LAG", "OWNER"), [[name, lag, owner] for name, _, lag, owner in rows])


def _print_history(found: RegistrationDetails) -> None:
    if not found.history:
        return
    _heading("last executions")
    columns = ("AT", "OUTCOME", "RECORDS", "MS", "FROM", "LAST ID", "ERROR")
    rows = [
        (
            _time(item.at),
            item.outcome,
            str(item.records),
            f"{item.duration_us / 1000:.1f}",
            item.stream,
            item.last_id or "-",
            " ".join((item.error or "-").split()),
        )
        for item in found.history[:_SHOWN_EXECUTIONS]
    ]
    _print_rows(columns, rows)


def _print_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table below a heading."""
    print_table([f"  {columns[0]}", *columns[1:]], [[f"  {first}", *rest] for first, *rest in rows])


def _print_facts(facts: Mapping[str, Any]) -> None:
    width = max(map(len, facts))
    for name, value in facts.items():
        text = ", ".join(value) if isinstance(value, tuple) else str(value)
        click.echo(f"  {name:<{width}}  {text}")


def _heading(text: str) -> None:
    click.echo(f"\n{text}")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.strip("\n").splitlines())


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")
