"""`geartrain doctor`: what is missing, and what to type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import click

from geartrain.cli.health import module, permissions, records, registry, server
from geartrain.cli.health.finding import Finding, Result, failed, ok
from geartrain.cli.health.nodes import Nodes, check_cluster, check_versions, nodes_of, on_each
from geartrain.cli.options import json_option, url_option
from geartrain.cli.output import print_json
from geartrain.client import Client
from geartrain.errors import ArgumentError, CommandError, ServerUnavailable
from geartrain.wire import Access, Endpoint, Link, access, topology_of

DONE, FAILED, NOT_REACHABLE = 0, 1, 3

_MARKS = {Result.OK: ("ok", "green"), Result.WARNING: ("warning", "yellow"), Result.FAILED: ("failed", "red")}


@click.command(name="doctor")
@url_option()
@json_option("the findings")
def command(url: str | None, as_json: bool) -> int:
    """Check the server (or a cluster's nodes), permissions and what is registered; say what is missing, what to type.

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
    """All checks on one server, or on all nodes of a cluster, in order.

    Attributes:
        reachable: whether a server answered, be it with a refusal.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.reachable = False
        self._endpoint = endpoint
        self._nodes = Nodes([])

    def findings(self) -> Iterator[Finding]:
        """Each finding as soon as it is known."""
        try:
            self._say_hello()
            self.reachable = True
            yield ok("connection", f"{self._endpoint.shown} answers")
            with access(self._endpoint) as link, ExitStack() as stack:
                self._nodes = nodes_of(link, stack)
                yield from self._checks(link)
        except ServerUnavailable as error:
            fix = None if self.reachable else "is the URL right, and the server running? `geartrain serve`"
            yield failed("connection", str(error), fix)
        except ArgumentError as error:
            self.reachable = True
            yield failed("connection", str(error))
        except CommandError as error:
            what = f"the server refuses {error.command}" if self.reachable else "the server refuses the login"
            fix = permissions.CLUSTER_RULES if self.reachable else "--url redis://USER:PASSWORD@..."
            self.reachable = True
            yield failed("connection", f"{what}: {error.reply}", fix)

    def _say_hello(self) -> None:
        try:
            with Link(self._endpoint) as link:
                # Any answer will do: a user who may not PING is told so with the other permissions.
                link.pipeline([("PING",)])
        except CommandError:
            # Perhaps because the URL is none for a cluster.
            topology_of(self._endpoint)
            raise

    def _checks(self, link: Access) -> Iterator[Finding]:
        nodes, each = self._nodes, self._nodes.answering
        yield from check_cluster(nodes)
        yield from check_versions(nodes)
        yield from on_each(each, lambda node: server.check_version(node.seen))
        if not nodes.shards:
            yield from server.check_role(each[0].seen)
        held, why = self._holdings(link)
        streams, keys_readers = (held.streams, held.keys_readers) if held else ((), 0)
        clustered = bool(nodes.shards)
        may = permissions.check_permissions
        called = held is not None and held.called
        yield from on_each(each, lambda node: may(node.link, streams, keys_readers, clustered=clustered, called=called))
        yield from on_each(each, lambda node: server.check_notifications(node.link, node.seen, keys_readers))
        yield from server.check_clock([(node.name, node.link) for node in each])
        yield from on_each(each, lambda node: server.check_persistence(node.seen))
        yield from on_each(each, lambda node: server.check_eviction(node.seen))
        yield records.check_records()
        if held is None:
            yield failed("registrations", f"the registry cannot be read: {why}")
            return
        yield from registry.check_registrations(held)
        yield from on_each(each, lambda node: module.check_module(node.link, node.seen, held, replica=node.replica))
        yield from module.check_everywhere(nodes, held)
        yield from registry.check_python(held)
        yield from registry.check_signatures(held)
        yield from registry.check_workers(held)
        yield from registry.check_environments(held)

    def _holdings(self, link: Access) -> tuple[registry.Holdings | None, str]:
        """What is registered; or why it cannot be read."""
        try:
            return registry.holdings(link), ""
        except CommandError:
            return None, "see permissions"
        except ServerUnavailable as error:
            if not self._nodes.shards:
                raise
            return None, f"its shard is away: {error}"

    def document(self, findings: list[Finding]) -> dict[str, Any]:
        """For JSON."""
        seen = self._nodes.answering[0].seen if self._nodes.answering else server.Facts()
        return {
            "url": self._endpoint.shown,
            "reachable": self.reachable,
            "ok": all(finding.result is not Result.FAILED for finding in findings),
            "server": {"product": seen.product, "version": seen.version} if self.reachable else None,
            "nodes": [
                {
                    "node": node.name,
                    "role": "replica" if node.replica else "primary",
                    "product": node.seen.product,
                    "version": node.seen.version,
                }
                for node in self._nodes.answering
                if node.name
            ],
            "checks": [finding.as_dict() for finding in findings],
        }


def _print(finding: Finding) -> None:
    mark, colour = _MARKS[finding.result]
    click.echo(f"{click.style(mark.ljust(8), fg=colour)} {finding.check.ljust(14)} {finding.message}")
    if finding.fix is not None:
        click.echo(f"{'':8} {'':14} -> {finding.fix}")
