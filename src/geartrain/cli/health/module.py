"""The server module: whether the server has it, of which version, whether functions can run in it, its hooks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from geartrain import __version__
from geartrain.builder import Mode
from geartrain.cli.health.finding import Finding, failed, ok, warning
from geartrain.cli.health.nodes import Nodes
from geartrain.cli.health.registry import Holdings
from geartrain.cli.health.server import Facts
from geartrain.errors import CommandError, GeartrainError
from geartrain.registry import Hook, Module, Snapshot
from geartrain.registry.hooks import differences
from geartrain.registry.modules import is_forbidden, read
from geartrain.server import find_module
from geartrain.text import shown
from geartrain.wire import Link

CHECK = "module"

OLDEST = (7, 2)
"""The oldest server version that can load the module."""

_LOAD = "`geartrain module --loadmodule` prints the line for the server's configuration; restart the server then"


def check_module(link: Link, seen: Facts, held: Holdings, *, replica: bool = False) -> Iterator[Finding]:
    """Ask the server for its hooks, which only the module can tell; a replica's wait for it to become a primary."""
    needed = _sync_registrations(held)
    try:
        module = read(link)
    except CommandError as error:
        yield _forbidden(link) if is_forbidden(error) else _absent(seen, needed)
        return
    if module is None:
        yield _absent(seen, needed)
        return
    count = len(module.hooks)
    loaded = f"{_version(link)}, {count} {'hook' if count == 1 else 'hooks'}"
    if module.sync is None:
        yield ok(CHECK, f"{loaded}; mode='sync' runs in the server")
    else:
        text = f"{loaded}; no mode='sync': {module.sync}"
        yield failed(CHECK, f"{text}; {needed[0]} needs it") if needed else warning(CHECK, text)
    if not replica:
        yield from _check_missing(module, held)
        yield from _check_hooks(module.hooks.values())


def _check_missing(module: Module, held: Holdings) -> Iterator[Finding]:
    """Hooks that the registry asks for and nobody has installed yet."""
    snapshot = Snapshot(0, held.registrations, held.status)
    missing = sorted(item.id for item in differences(module, snapshot)[0])
    if missing:
        text = f"{', '.join(missing)} not installed yet: what happens meanwhile triggers nothing"
        yield warning(CHECK, text, "geartrain worker  (workers install them within two seconds)")


def check_everywhere(nodes: Nodes, held: Holdings) -> Iterator[Finding]:
    """Whether all nodes of a cluster have the module, where some have."""
    has = {node.name: _has_module(node.link) for node in nodes.answering}
    lacking = [name for name, loaded in has.items() if loaded is False]
    if True in has.values() and lacking:
        concerned = held.keys_readers or _sync_registrations(held)
        text = f"some nodes have the module, and not {', '.join(lacking)}: what happens to keys there triggers nothing"
        yield (failed if concerned else warning)(CHECK, text, _LOAD)


def _has_module(link: Link) -> bool | None:
    """None: we may not ask."""
    try:
        return read(link) is not None
    except CommandError:
        return None


def _check_hooks(hooks: Iterable[Hook]) -> Iterator[Finding]:
    for hook in hooks:
        if hook.error:
            yield failed(CHECK, f"{hook.id} does not run in the server: {hook.error}")
        if hook.dropped:
            text = f"{hook.id}: {hook.dropped} events were not kept, as its outbox was full (outboxLimit)"
            yield warning(CHECK, text, f"geartrain show {hook.id}")


def _forbidden(link: Link) -> Finding:
    """We may not ask whether there is a module."""
    user = _user(link)
    text = f"user {user!r} may not ask whether the server module is loaded"
    return warning(CHECK, text, f"ACL SETUSER {user} +geartrain.hook")


def _absent(seen: Facts, needed: Sequence[str]) -> Finding:
    """There is no module."""
    if not needed:
        text = "not loaded; only mode='sync', snapshot=True, atomic() and lossless key events need it"
        return ok(CHECK, f"{text} (what to do: {_how(seen)})")
    return failed(CHECK, f"the server module is not loaded, and {needed[0]} has mode='sync'", _how(seen))


def _how(seen: Facts) -> str:
    """What to do to have it."""
    numbers = re.match(r"(\d+)\.(\d+)", seen.version)
    if numbers is not None and (int(numbers[1]), int(numbers[2])) < OLDEST:
        return "upgrade the server: Redis 7.2 and Valkey 7.2 are the oldest that can load it"
    try:
        find_module()
    except GeartrainError as error:
        return str(error)
    return _LOAD


def _version(link: Link) -> str:
    """What is loaded, and where it is not what is installed here."""
    try:
        modules = [_pairs(item) for item in link.call("MODULE", "LIST")]
    except CommandError:
        return "loaded"
    number = next((item.get("ver", 0) for item in modules if item.get("name") == "geartrain"), 0)
    if not number:
        return "loaded"
    version = f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    return f"loaded, version {version}" + ("" if version == __version__ else f" (installed here: {__version__})")


def _sync_registrations(held: Holdings) -> list[str]:
    return sorted(name for name, item in held.registrations.items() if item.mode is Mode.SYNC)


def _pairs(flat: Any) -> dict[str, Any]:
    """A flat reply of names and values as a dict; {} where it is something else."""
    return {str(name): value for name, value in zip(flat[::2], flat[1::2], strict=False)} if flat else {}


def _user(link: Link) -> str:
    try:
        return shown(link.call("ACL", "WHOAMI"))
    except CommandError:
        return "default"
