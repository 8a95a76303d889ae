"""Servers as users of RedisGears have them, and what they run against these: real clients, each in its own environment.

    CLIENT      the interpreter that gears-cli and redgrease are installed for
    BESIDE      an interpreter for the server, with geartrain and what rgsync's recipes import
    WHEELS      wheels of what sessions require in the tests

`make setup` makes them, below the virtual environment that the tests run in.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geartrain.errors import CommandError
from geartrain.wire import Endpoint, Link
from support.processes import environment
from support.servers import require_client
from support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geartrain.server import EmbeddedServer

_PLACE = Path(sys.prefix) / "clients"
CLIENT = _PLACE / "client" / "bin" / "python"
BESIDE = _PLACE / "server" / "bin" / "python"
WHEELS = _PLACE / "wheels"

PROGRAMS = Path(__file__).parents[1] / "clients"
"""Programs for CLIENT, and recipes for BESIDE."""

GEARS: dict[str, object] = {"dialect": "redisgears-1.2", "workers": 1, "sync-timeout": 10_000}
"""Options of the module for a server as RedisGears' users have it. The limit is for busy machines."""

PATIENCE = 60
"""Seconds that a command may take: a session's environment is made, processes start, on a machine that is busy."""


class Ended:
    """A client that has ended.

    Attributes:
        code: its exit code.
        out: its standard output.
        err: its standard error.
    """

    def __init__(self, process: subprocess.CompletedProcess[str]) -> None:
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    def __str__(self) -> str:
        return f"exit code {self.code}\n--- out\n{self.out}--- err\n{self.err}"


def run_client(*arguments: object, env: Mapping[str, str] | None = None) -> Ended:
    """Run `CLIENT ARGUMENTS` to its end; skips the test, or fails it in CI, where the clients are not installed."""
    require_client(CLIENT)
    return Ended(
        subprocess.run(
            [CLIENT, *map(str, arguments)],
            env=environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )
    )


def gears_cli(port: int | None, command: str, *arguments: object) -> Ended:
    """Run `gears-cli COMMAND` against the server on a port of this machine."""
    where = ("--host", "127.0.0.1", "--port", port)
    return run_client(CLIENT.with_name("gears-cli"), command, *where, *arguments)


def redgrease(server: EmbeddedServer, case: str) -> Any:
    """What a function of tests/clients/redgrease_cases.py returns, called with a client of the server."""
    ended = run_client(PROGRAMS / "redgrease_cases.py", server.port, case)
    assert ended.code == 0, str(ended)
    return json.loads(ended.out)


def connect(server: EmbeddedServer) -> Link:
    """A connection with more patience than usual."""
    return Link(Endpoint(server.url), timeout=PATIENCE)


def pairs(flat: Any) -> dict[str, Any]:
    """Alternating names and values as a dict."""
    return dict(flat) if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))


def registrations(link: Link) -> list[dict[str, Any]]:
    """What RG.DUMPREGISTRATIONS says, with RegistrationData as dicts too."""
    found = [pairs(item) for item in link.call("RG.DUMPREGISTRATIONS")]
    return [item | {"RegistrationData": pairs(item["RegistrationData"])} for item in found]


def clean(link: Link) -> None:
    """Unregister everything, and delete the users' keys."""
    for item in registrations(link):
        link.call("RG.UNREGISTER", item["id"])
    mine = [key for key in link.call("KEYS", "*") if not str(key).startswith("geartrain:")]
    if mine:
        link.call("DEL", *mine)


def wait_until_served(link: Link) -> None:
    """Wait until the server's workers take calls."""

    def answered() -> bool:
        try:
            return bool(link.call("RG.PYSTATS"))
        except CommandError:
            return False

    wait_for(answered, 30, "somebody serves RG.* commands")
