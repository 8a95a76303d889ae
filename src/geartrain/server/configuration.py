"""What the embedded server is told: its configuration file as text (pure), and the choice of a port.

The text goes to the server's standard input (`valkey-server -`), so no file is left behind and a password among the
options does not show in the process list.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from geartrain.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HOST = "127.0.0.1"

_PERSISTENT = {"appendonly": "yes", "appendfsync": "everysec", "save": "3600 1 300 100 60 10000"}
_TEMPORARY = {"appendonly": "no", "save": '""'}


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One server's configuration.

    Attributes:
        directory: where its data lies.
        persistent: whether it writes an append-only file and snapshots there.
        port: its TCP port on 127.0.0.1; 0: none.
        unix_socket: its socket file, or None.
        options: further settings, each value written as in a configuration file; they win over the above.
        module: the line that loads the server module, beside any `loadmodule` among the options; '': none.
    """

    directory: Path
    persistent: bool
    port: int = 0
    unix_socket: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    module: str = ""

    @property
    def password(self) -> str:
        """That of the option `requirepass`; '' where it has none."""
        return self.options.get("requirepass", "").strip('"')

    @property
    def url(self) -> str:
        """Where clients find it, with the password of the option `requirepass`, if any."""
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        if self.unix_socket is not None:
            return f"unix://{login}{quote(str(self.unix_socket))}"
        return f"redis://{login}{HOST}:{self.port}"

    def text(self) -> str:
        """The lines of the configuration file."""
        settings = {
            "bind": HOST,
            "port": str(self.port),
            "daemonize": "no",
            "dir": quoted(self.directory),
            **(_PERSISTENT if self.persistent else _TEMPORARY),
        }
        if self.unix_socket is not None:
            settings |= {"unixsocket": quoted(self.unix_socket), "unixsocketperm": "700"}
        settings |= {name.lower(): value for name, value in self.options.items()}
        lines = [f"{name} {value}" for name, value in settings.items()]
        return "\n".join([*lines, *([self.module] if self.module else []), ""])


def quoted(value: object) -> str:
    """A value with spaces or quotes in it, as a configuration file takes it."""
    text = str(value)
    if "\n" in text or "\r" in text:
        raise ArgumentError(f"{text!r}: a path with a line break cannot be a setting of the server")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def word(value: object) -> str:
    """A value as one word of a configuration file's line, quoted where it has to be."""
    text = quoted(value)
    plain = text[1:-1]
    return plain if plain and not set(plain) & set(" \t\"'\\#") else text


def check_port(port: int) -> int:
    """A port that a server may listen on.

    Raises:
        ArgumentError: it is not a number from 1 to 65535.
    """
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
        raise ArgumentError(f"port={port!r}: a port is a whole number from 1 to 65535; leave it out for a free one")
    return port


def free_port() -> int:
    """A port that is free at the moment; another process may take it before the server does."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        # As servers do: connections that are still closing do not hold a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
