"""The server module as it is loaded: on one server, or on each shard of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from geartrain.errors import CommandError, ServerUnavailable
from geartrain.registry.remains import HOOK
from geartrain.text import shown, to_bytes
from geartrain.wire import Access, ClusterLink, Shard

HOW = "`geartrain module` prints its path, and `loadmodule PATH` in the server's configuration loads it"
"""What to do where a server has no module."""

_OK = "ok"


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook, as the module tells.

    Attributes:
        id: the registration's.
        version: its `code_version` when the hook was set.
        error: why it does not run; '': it does.
        captured: events that it has taken.
        dropped: events that found its outbox full.
        aborted: whether the function's policy has stopped it.
    """

    id: str
    version: int
    error: str
    captured: int
    dropped: int
    aborted: bool = False


@dataclass(frozen=True, slots=True)
class Module:
    """The server module, as one server has it.

    Attributes:
        tag: the hash tag of its outboxes.
        sync: why it runs no sync registrations; None: it does.
        hooks: by registration id.
        used: hash tags under which it has written something, the last ones, each with the time (ms) when it began to: a
            tag that was left comes with another time when it is taken again.
    """

    tag: bytes
    sync: str | None
    hooks: Mapping[str, Hook]
    used: tuple[tuple[bytes, int], ...] = ()

    @property
    def writes(self) -> bool:
        """Whether it has written something under its present tag: as soon as a shard's first slots arrive it may."""
        return any(tag == self.tag for tag, _ in self.used)


@dataclass(frozen=True, slots=True)
class Modules:
    """The server modules of all shards; of the only server where there is no cluster.

    Attributes:
        found: for each shard that told, those without slots included: its module; None: it has none.
        away: for each other shard: why it did not.
        clustered: whether it is a cluster, where messages name the shard.
    """

    found: Mapping[Shard, Module | None]
    away: Mapping[Shard, str] = field(default_factory=dict)
    clustered: bool = False

    @property
    def loaded(self) -> dict[Shard, Module]:
        """The shards that have the module."""
        return {shard: module for shard, module in self.found.items() if module is not None}

    @property
    def lacking(self) -> list[Shard]:
        """The shards that have none."""
        return [shard for shard, module in self.found.items() if module is None]

    @property
    def tags(self) -> set[bytes]:
        """The hash tags of outboxes that are written now: of shards that serve slots, or write before that is known."""
        return {module.tag for shard, module in self.loaded.items() if shard.slots or module.writes}

    @property
    def used_tags(self) -> set[bytes]:
        """All hash tags under which the modules may have written something."""
        return self.tags | {tag for tag, _ in self.uses}

    @property
    def uses(self) -> set[tuple[bytes, int]]:
        """What the modules tell of tags that they have used."""
        return {use for module in self.loaded.values() for use in module.used}

    @property
    def no_sync(self) -> str | None:
        """Why `mode='sync'` does not run on all shards; None: it does, as far as they answer."""
        for shard, module in self.found.items():
            where = f"shard {shard}" if self.clustered else "this server"
            if module is None:
                return f"{where} has none loaded: {HOW}"
            if module.sync is not None:
                return f"shard {shard}: {module.sync}" if self.clustered else module.sync
        return None

    def hooks_of(self, registration: str) -> Iterator[tuple[Shard, Hook]]:
        """The registration's hooks, one for each shard."""
        for shard, module in self.loaded.items():
            if registration in module.hooks:
                yield shard, module.hooks[registration]

    def hook(self, registration: str) -> Hook | None:
        """Its hooks together: counters added up, the first reason why one does not run."""
        all_of_them = list(self.hooks_of(registration))
        if not all_of_them:
            return None
        errors = [f"shard {shard}: {hook.error}" if self.clustered else hook.error
                  for shard, hook in all_of_them if hook.error]  # fmt: skip
        hooks = [hook for _, hook in all_of_them]
        return Hook(
            registration,
            min(hook.version for hook in hooks),
            errors[0] if errors else "",
            sum(hook.captured for hook in hooks),
            sum(hook.dropped for hook in hooks),
            any(hook.aborted for hook in hooks),
        )


def read(link: Access) -> Module | None:
    """The module of this server (of the shard that has the registry, in a cluster); None where it has none.

    Raises:
        CommandError: the server has it, and refuses to tell (`is_forbidden`).
        ServerUnavailable: it is away.
    """
    try:
        flat = link.call(HOOK, "LIST")
    except CommandError as error:
        if error.is_unknown:
            return None
        raise
    found = dict(zip(map(shown, flat[::2]), flat[1::2], strict=True))
    hooks = [
        Hook(shown(item), int(version), shown(why), int(captured), int(dropped), bool(aborted))
        for item, version, why, captured, dropped, aborted in found["hooks"]
    ]
    reason = shown(found["sync"])
    used = tuple((to_bytes(tag), int(since)) for tag, since in found["used"])
    return Module(to_bytes(found["tag"]), None if reason == _OK else reason, {hook.id: hook for hook in hooks}, used)


def read_all(link: Access) -> Modules:
    """The modules of all shards, and of primaries that serve no slots yet: they are to have the hooks when some come.

    Raises:
        CommandError: a server has it, and refuses to tell (`is_forbidden`).
        ServerUnavailable: the only server is away; in a cluster: no shard is known.
    """
    if not isinstance(link, ClusterLink):
        return Modules({link.shards[0]: read(link)})
    found: dict[Shard, Module | None] = {}
    away: dict[Shard, str] = {}
    link.topology.refresh_if_stale()
    for shard in (*link.shards, *link.topology.spares):
        try:
            found[shard] = read(link.on(shard))
        except ServerUnavailable as error:
            link.topology.suspect()
            away[shard] = str(error)
    return Modules(found, away, clustered=True)


def is_forbidden(error: CommandError) -> bool:
    """Whether the server has the module, and this user may not look after its hooks."""
    return error.code == "NOPERM"


def forbidden(error: CommandError) -> str:
    """The same, as users read it."""
    return f"the server has the module, and this user may not use {HOOK} ({error.reply}): grant +{HOOK.lower()}"
