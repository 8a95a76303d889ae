"""One run of a server's process: started, ready, ended. What a restart keeps is the embedded server's affair.

    launched ──> ready ──> ended         a process that ends before it is ready is a failed launch

The process has a session of its own, so that a Ctrl-C in the terminal reaches its owner only, and the owner can finish
its work with the server still there. A guard process (`guard.py`) ends it when the owner is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from geartrain.errors import CommandError, GeartrainError, ServerUnavailable
from geartrain.server import guard
from geartrain.wire import Endpoint, Link

if TYPE_CHECKING:
    from geartrain.server.configuration import Configuration

READY_TIMEOUT = 120.0
"""Seconds until a server has to answer; loading its data counts."""

LOCK = "geartrain.lock"
"""The file in a server's directory that it holds locked while it works there; it stays."""

LOCK_TIMEOUT = 2.0
"""Seconds to wait for a directory's lock: a child that writes a snapshot may outlive a killed server for a moment."""

_POLL = 0.01
_LOG_LINES = 15


class ServerProcess:
    """A server's process, launched but not yet known to be ready (`wait_ready`).

    Args:
        binary: the executable.
        configuration: what it is told.
        log_path: the file that its output is appended to.
        scratch: a folder that the guard removes when this process has gone without stopping the server.

    Raises:
        GeartrainError: it cannot be started, or another server works in its directory.
    """

    def __init__(self, binary: Path, configuration: Configuration, log_path: Path, scratch: Path | None) -> None:
        self.configuration = configuration
        self.log_path = log_path
        lock = _lock(configuration.directory)
        try:
            self._process = self._launch(binary, lock)
        finally:
            os.close(lock)
        self._guard = subprocess.Popen(  # noqa: S603 - our own script, our own arguments
            [sys.executable, "-I", "-S", guard.__file__, str(self.pid), *([str(scratch)] if scratch else [])],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def wait_ready(self, timeout: float = READY_TIMEOUT) -> None:
        """Wait until this very process answers commands.

        Raises:
            GeartrainError: it ended, or did not answer within `timeout` seconds; the message has the end of its log.
        """
        deadline = time.monotonic() + timeout
        while not self._answers():
            if not self.running:
                raise GeartrainError(f"the server ended with status {self._process.returncode}{self._log_tail()}")
            if time.monotonic() > deadline:
                raise GeartrainError(f"the server did not answer within {timeout:g} seconds{self._log_tail()}")
            time.sleep(_POLL)

    def terminate(self, timeout: float) -> None:
        """End it in good order (it writes its data first); kill it where that takes more than `timeout` seconds."""
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._dismiss_guard()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    def _dismiss_guard(self) -> None:
        self._guard.kill()
        self._guard.wait()
        if self._guard.stdin is not None:
            self._guard.stdin.close()

    def _launch(self, binary: Path, lock: int) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            try:
                process = subprocess.Popen(  # noqa: S603 - the caller's choice of server
                    [str(binary), "-"],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    # Held for as long as the server lives, even if it outlives us.
                    pass_fds=(lock,),
                )
            except OSError as error:
                raise GeartrainError(f"the server {str(binary)!r} cannot be started: {error}") from error
        if process.stdin is not None:
            # A server that ended already is reported by wait_ready, with its log.
            with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
                stdin.write(self.configuration.text().encode())
        return process

    def _answers(self) -> bool:
        """Whether it serves commands; another server on the same port does not count."""
        try:
            with Link(Endpoint(self.configuration.url)) as link:
                ours = f"process_id:{self.pid}" in str(link.call("INFO", "server")).splitlines()
                link.call("PING")  # refused while it loads its data, where INFO is not
                return ours
        except (ServerUnavailable, CommandError):
            return False

    def _log_tail(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return f"; the end of {self.log_path}:\n" + "\n".join(lines) if lines else ""


def _lock(directory: Path) -> int:
    """Lock the directory against a second server, which would damage the append-only file; returns the lock's file."""
    handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                os.close(handle)
                raise GeartrainError(
                    f"another server works in {str(directory)!r}: stop it, or choose another directory"
                ) from error
            time.sleep(_POLL)
        else:
            return handle
