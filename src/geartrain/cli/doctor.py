"""`geartrain doctor`: what is missing, and what to type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from geartrain.cli.health import module, permissions, registry, server
from geartrain.cli.health.finding import Finding, Result, failed, ok
from geartrain.cli.options import json_option, url_option
from geartrain.cli.output import print_json
from geartrain.client import Client
from geartrain.errors import CommandError, ServerUnavailable
from geartrain.wire import Endpoint, Link

DONE, FAILED, NOT_REACHABLE = 0, 1, 3

_MARKS = {Result.OK: ("ok", "green"), Result.WARNING: ("warning", "yellow"), Result.FAILED: ("failed", "red")}


@click.command(name="doctor")
@url_option()
@json_option("the findings")
def command(url: str | None, as_json: bool) -> int:
    """Check the server, the permissions and what is registered; say what is missing and what to type.

    Exit codes: 0 nothing failed (there may be warnings), 1 something failed, 3 the server is not reachable.
    """
    report = _Report(Client(url).endpoint)
    findings = []
    for finding in report.findings():
        findings.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        print_json(report.document(findings))
    if not report.reachable:
        return NOT_REACHABLE
    return FAILED if any(finding.result is Result.FAILED for finding in findings) else DONE


class _Report:
    """All checks on one server, in order.

    Attributes:
        reachable: whether the server answered, be it with a refusal.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.reachable = False
        self._endpoint = endpoint
        self._seen = server.Facts()

    def findings(self) -> Iterator[Finding]:
        """Each finding as soon as it is known."""
        with Link(self._endpoint) as link:
            try:
                # Any answer will do: a user who may not PING is told so with the other permissions.
                link.pipeline([("PING",)])
                self.reachable = True
                yield ok("connection", f"{self._endpoint.shown} answers")
                yield from self._checks(link)
            except ServerUnavailable as error:
                fix = None if self.reachable else "is the URL right, and the server running? `geartrain serve`"
                yield failed("connection", str(error), fix)
            except CommandError as error:
                self.reachable = True
                yield failed(
                    "connection", f"the server refuses the login: {error.reply}", "--url redis://USER:PASSWORD@..."
                )

    def _checks(self, link: Link) -> Iterator[Finding]:
        self._seen = seen = server.facts(link)
        yield from server.check_version(seen)
        if server.is_cluster(seen):
            return
        held = self._holdings(link)
        streams, keys_readers = (held.streams, held.keys_readers) if held else ((), 0)
        yield from permissions.check_permissions(link, streams, keys_readers)
        yield from server.check_notifications(link, seen, keys_readers)
        yield from server.check_clock(link)
        yield from server.check_persistence(seen)
        yield from server.check_eviction(seen)
        if held is None:
            yield failed("registrations", "the registry cannot be read: see permissions")
            return
        yield from registry.check_registrations(held)
        yield from module.check_module(link, seen, held)
        yield from registry.check_python(held)
        yield from registry.check_signatures(held)
        yield from registry.check_workers(held)

    def _holdings(self, link: Link) -> registry.Holdings | None:
        """What is registered; None where the user may not read it."""
        try:
            return registry.holdings(link)
        except CommandError:
            return None

    def document(self, findings: list[Finding]) -> dict[str, Any]:
        """For JSON."""
        return {
            "url": self._endpoint.shown,
            "reachable": self.reachable,
            "ok": all(finding.result is not Result.FAILED for finding in findings),
            "server": {"product": self._seen.product, "version": self._seen.version} if self.reachable else None,
            "checks": [finding.as_dict() for finding in findings],
        }


def _print(finding: Finding) -> None:
    mark, colour = _MARKS[finding.result]
    click.echo(f"{click.style(mark.ljust(8), fg=colour)} {finding.check.ljust(14)} {finding.message}")
    if finding.fix is not None:
        click.echo(f"{'':8} {'':14} -> {finding.fix}")
