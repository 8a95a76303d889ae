"""Servers with the module whose RG.* commands are served, and what clients see of them."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis

from geartrain.server import EmbeddedServer
from support.servers import require_module, required, stable_port
from support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PATIENCE = 60
"""Seconds that a command may take on a busy machine: processes start."""


def client(server: EmbeddedServer, protocol: int = 2) -> redis.Redis:
    """A client of redis-py, as users have it."""
    return redis.Redis(port=server.port or 0, protocol=protocol, decode_responses=True, socket_timeout=PATIENCE)


@contextmanager
def emptied(server: EmbeddedServer, protocol: int = 2) -> Iterator[redis.Redis]:
    """A client of a server whose registrations and keys are removed first, all but the numbers of its executions."""
    with client(server, protocol) as r:
        for item in registrations(r):
            r.execute_command("RG.UNREGISTER", item["id"])
        for key in r.keys("*"):
            if "sequence" not in key:
                r.delete(key)
        yield r


def execute(r: redis.Redis, script: str, *arguments: object) -> Any:
    """Run a script by RG.PYEXECUTE."""
    return r.execute_command("RG.PYEXECUTE", script, *arguments)


@contextmanager
def service(url: str, name: str = "tested", more: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m geartrain.rg` for a server, without a worker beside it; killed after the block."""
    env = {**os.environ, "GEARTRAIN_URL": url, "GEARTRAIN_WORKER_ID": name, **(more or {})}
    process = subprocess.Popen([sys.executable, "-u", "-P", "-m", "geartrain.rg"], env=env, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def served_server(flavour: str, **options: object) -> Iterator[tuple[EmbeddedServer, subprocess.Popen[bytes]]]:
    """A server with the module in the dialect redisgears-1.2, and the service that serves its RG.* commands.

    Args:
        flavour: of the server.
        options: more options of the module.
    """
    require_module()
    module_options = {"dialect": "redisgears-1.2", "workers": 0, **options}
    server = EmbeddedServer.start(
        port=stable_port(), binary=required(flavour), module=True, module_options=module_options
    )
    with server, service(server.url) as process:
        with client(server) as r:
            wait_until_served(r)
        yield server, process


def wait_until_served(r: redis.Redis) -> None:
    """Wait until somebody takes the calls of both lanes."""

    def answered() -> bool:
        try:
            return bool(r.execute_command("GEARTRAIN.CALL", "admin", "RG.PYSTATS")) and served(r, "script")
        except redis.ResponseError:
            return False

    wait_for(answered, PATIENCE, "somebody serves RG.* commands")


def served(r: redis.Redis, lane: str) -> bool:
    """Whether somebody serves a lane."""
    try:
        r.execute_command("GEARTRAIN.CALL", lane, "RG.PYEXECUTE")
    except redis.ResponseError as error:
        return "nobody serves" not in str(error)
    return True


def pairs(flat: Any) -> dict[str, Any]:
    """Alternating names and values as a dict."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def registrations(r: redis.Redis) -> list[dict[str, Any]]:
    """What RG.DUMPREGISTRATIONS says, as dicts."""
    found = [pairs(item) for item in r.execute_command("RG.DUMPREGISTRATIONS")]
    return [item | {"RegistrationData": pairs(item["RegistrationData"])} for item in found]


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError):
            found += map(int, (thread / "children").read_text().split())
    return found
