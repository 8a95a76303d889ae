"""What the user should know about registrations on this server: best effort, and what was not installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from geartrain.builder import Mode, Reader
from geartrain.registry import Modules, Registration
from geartrain.registry.hooks import HOW, ignored


@dataclass(frozen=True, slots=True)
class Installed:
    """What became of the hooks that a submission needs.

    Attributes:
        modules: of all shards; None: they do not tell.
        refused: why the server does not tell; None: it does.
        failed: for each registration whose hook could not be set, why.
    """

    modules: Modules | None
    refused: str | None = None
    failed: Mapping[str, str] = field(default_factory=dict)


def warnings_of(installed: Installed, records: Sequence[Registration]) -> list[str]:
    """Sentences about the registrations of one submission."""
    if installed.refused is not None:
        return _not_installed(installed.refused, records)
    if installed.modules is None or not installed.modules.loaded:
        return [*_best_effort(records), *_ignored(records)]
    ids = [item.id for item in records]
    failed = [f"{item}: its hook is not installed: {why}" for item, why in installed.failed.items() if item in ids]
    return [*_partly(installed.modules, records), *failed]


def _partly(modules: Modules, records: Sequence[Registration]) -> list[str]:
    """Some shards of a cluster have the module, others have not, or do not answer."""
    hooked = [item.id for item in records if item.reader is Reader.KEYS or item.mode is Mode.SYNC]
    if not hooked:
        return []
    told = [f"{', '.join(hooked)}: nothing is captured on the shard {shard}, which has no server module; {HOW}"
            for shard in modules.lacking]  # fmt: skip
    text = "{}: nothing is captured on the shard {} until it is back and a worker has installed the hooks: {}"
    return told + [text.format(", ".join(hooked), shard, why) for shard, why in modules.away.items()]


def _not_installed(reason: str, records: Sequence[Registration]) -> list[str]:
    hooked = [item.id for item in records if item.reader is Reader.KEYS or item.mode is Mode.SYNC]
    if not hooked:
        return []
    text = "nothing is captured until a worker whose user may do it has installed the hooks"
    return [f"{', '.join(hooked)}: {reason}; {text}"]


def _best_effort(records: Sequence[Registration]) -> list[str]:
    by_keys = [item.id for item in records if item.reader is Reader.KEYS]
    if not by_keys:
        return []
    text = (
        f"best effort: {', '.join(by_keys)}: without the server module, key events come as keyspace notifications;"
        " those that happen while no worker listens, or while a connection is lost, are lost"
    )
    return [text]


def _ignored(records: Sequence[Registration]) -> list[str]:
    return [
        f"{item}: without the server module, {', '.join(names)} {'has' if len(names) == 1 else 'have'} no effect; {HOW}"
        for item, names in ignored(records).items()
    ]
