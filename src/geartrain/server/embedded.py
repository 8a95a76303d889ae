"""A real server that this process owns: for development, tests and demos.

It listens on 127.0.0.1 (or on a Unix socket) only, keeps its data in a directory or throws them away, and is gone when
its owner is gone. In production, connect to a server that is run as one.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from geartrain.errors import GeartrainError
from geartrain.server.binary import find_binary
from geartrain.server.configuration import Configuration, check_port, free_port, is_free
from geartrain.server.module import NO_OPTIONS, find_module, load_line
from geartrain.server.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

STOP_TIMEOUT = 30.0
"""Seconds that a server may take to write its data when it is stopped; then it is killed."""

_PORT_ATTEMPTS = 5
"""Free ports that are tried: another process may take one between our choice and the server's start."""


class EmbeddedServer:
    """A server that runs; `EmbeddedServer.start()` makes one. A context manager that stops it. For one thread.

    Attributes:
        binary: its executable.
        directory: where its data lies.
        persistent: False: the directory is temporary, nothing is saved, and `stop` removes it.
        log_path: the file with its output.
    """

    def __init__(self, binary: Path, directory: Path, *, persistent: bool) -> None:
        self.binary = binary
        self.directory = directory
        self.persistent = persistent
        self.log_path = directory / "server.log"
        self._run: ServerProcess | None = None

    @classmethod
    def start(
        cls,
        port: int | None = None,
        directory: Path | None = None,
        binary: Path | None = None,
        options: Mapping[str, str] = MappingProxyType({}),
        unix_socket: Path | None = None,
        module: bool | None = None,
        module_options: Mapping[str, object] = NO_OPTIONS,
    ) -> Self:
        """Start a server and wait until it answers.

        Args:
            port: its port on 127.0.0.1; None: a free one.
            directory: where it keeps its data (an append-only file, synced every second, and snapshots); made where
                it is missing. None: the data are temporary.
            binary: its executable; None: the `valkey-server` that the extra `server` installs.
            options: further settings, as in its configuration file: `{"maxmemory": "100mb"}`.
            unix_socket: a socket file to listen on, instead of any port.
            module: whether it loads the server module. None: where the module is installed, into our own executable
                only (a `binary` may be of a version that cannot load it).
            module_options: what its `loadmodule` line says besides the path: `{"sync-timeout": 200}`. `python` is this
                interpreter where it is not given.

        Raises:
            ArgumentError: `port` is not a port.
            GeartrainError: no executable, no module where `module=True`, the port is in use, another server works in
                the directory, or the server did not come up (with the end of its log).
        """
        if port is not None:
            check_port(port)
        loaded = _module_of(module, binary)
        binary = binary or find_binary()
        if directory is None:
            server = cls(binary, Path(tempfile.mkdtemp(prefix="geartrain-")), persistent=False)
        else:
            directory.mkdir(parents=True, exist_ok=True)
            server = cls(binary, directory.resolve(), persistent=True)
        configuration = Configuration(
            directory=server.directory,
            persistent=server.persistent,
            unix_socket=unix_socket.absolute() if unix_socket is not None else None,
            options=dict(options),
            module=load_line(loaded, module_options) if loaded else "",
        )
        try:
            server._run = server._begin(port, configuration)
        except BaseException:
            server._remove_temporary()
            raise
        return server

    @property
    def url(self) -> str:
        """Where clients find it: `redis://127.0.0.1:PORT` or `unix:///PATH`, with the password, if it has one."""
        return self._last_run.configuration.url

    @property
    def port(self) -> int | None:
        """Its TCP port; None where it listens on a Unix socket."""
        return self._last_run.configuration.port or None

    @property
    def password(self) -> str:
        """The password of its option `requirepass`; '' where it has none."""
        return self._last_run.configuration.password

    @property
    def has_module(self) -> bool:
        """Whether it was started with the server module."""
        return bool(self._last_run.configuration.module)

    @property
    def pid(self) -> int:
        """Its process id, of the last run where it has been stopped."""
        return self._last_run.pid

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._last_run.running

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Stop it: it writes its data first. Temporary data are removed. Does nothing where it has been stopped.

        Args:
            timeout: seconds after which it is killed.
        """
        self._last_run.terminate(timeout)
        self._remove_temporary()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would; `restart` brings it back."""
        self._last_run.kill()

    def restart(self, timeout: float = STOP_TIMEOUT) -> None:
        """Stop it if it runs, and start it again: same address, same directory, same options. Temporary data are lost.

        Raises:
            GeartrainError: as for `start`.
        """
        last = self._last_run
        last.terminate(timeout)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._run = self._attempt(last.configuration)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _last_run(self) -> ServerProcess:
        if self._run is None:
            raise GeartrainError("this server was never started: use EmbeddedServer.start()")
        return self._run

    def _begin(self, port: int | None, configuration: Configuration) -> ServerProcess:
        """The first run; with a port of our own choice, another one where somebody else was quicker."""
        for _ in range(_PORT_ATTEMPTS):
            chosen = 0 if configuration.unix_socket is not None else port or free_port()
            try:
                return self._attempt(replace(configuration, port=chosen))
            except GeartrainError:
                if chosen == 0 or port is not None or is_free(chosen):
                    raise
        raise GeartrainError(f"no free port: {_PORT_ATTEMPTS} were taken by others while the server started")

    def _attempt(self, configuration: Configuration) -> ServerProcess:
        if configuration.port and not is_free(configuration.port):
            raise GeartrainError(
                f"port {configuration.port} is in use: stop the server that has it, choose another port, or leave it"
                " out for a free one"
            )
        scratch = None if self.persistent else self.directory
        run = ServerProcess(self.binary, configuration, self.log_path, scratch)
        try:
            run.wait_ready()
        except BaseException:
            run.terminate(timeout=0)
            raise
        return run

    def _remove_temporary(self) -> None:
        if not self.persistent:
            shutil.rmtree(self.directory, ignore_errors=True)


def _module_of(module: bool | None, binary: Path | None) -> Path | None:
    """The module that a server is to load, or None; `module` and `binary` as `EmbeddedServer.start` has them."""
    if module is False or (module is None and binary is not None):
        return None
    try:
        return find_module()
    except GeartrainError:
        if module:
            raise
        return None
