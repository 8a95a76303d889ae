"""One run of a worker process, seen from its supervisor: launched, ready, ended."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from geartrain.config import URL_VARIABLE, WorkerSettings
from geartrain.worker.parent import FD_VARIABLE, READY

COMMAND = (sys.executable, "-u", "-P", "-m", "geartrain.worker")
"""-u: what user code prints is shown at once. -P: nothing is imported from the current folder by accident."""

SETTINGS_VARIABLE = "GEARTRAIN_WORKER_SETTINGS"
ID_VARIABLE = "GEARTRAIN_WORKER_ID"

_STARTUP_POLL = 0.05


def environment(url: str, settings: WorkerSettings) -> dict[str, str]:
    """What a worker process is told. By environment: other users of the machine can read command lines."""
    return {**os.environ, URL_VARIABLE: url, SETTINGS_VARIABLE: json.dumps(asdict(settings))}


def worker_id(seat: int) -> str:
    """A worker's id that nobody else has.

    Args:
        seat: the number of its process here.
    """
    return f"{socket.gethostname()}-{os.getpid()}-{seat}-{secrets.token_hex(3)}"


class Child:
    """A worker process that has been launched.

    It has a session of its own: a Ctrl-C in the terminal reaches the supervisor only, which stops it in good order.

    Args:
        command: executable and arguments.
        env: its environment.
        on_output: called, in a thread, with each line that it prints; None: it prints where we do.

    Raises:
        OSError: it cannot be launched.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str], on_output: Callable[[str], None] | None) -> None:
        self._socket, theirs = socket.socketpair()
        pipe = None if on_output is None else subprocess.PIPE
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    command,
                    env={**env, FD_VARIABLE: str(theirs.fileno())},
                    stdin=subprocess.DEVNULL,
                    stdout=pipe,
                    stderr=subprocess.STDOUT if pipe else None,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        except BaseException:
            self._socket.close()
            raise
        if on_output is not None:
            threading.Thread(target=self._forward, args=(on_output,), name="geartrain-output", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def wait_ready(self) -> bool:
        """Wait until it says that its registrations are live; False: it ended before."""
        self._socket.settimeout(_STARTUP_POLL)
        received = b""
        while True:
            try:
                data = self._socket.recv(64)
            except TimeoutError:
                # Not left to the end of input: a process that user code forked may hold the socket open.
                if self._process.poll() is not None:
                    return False
                continue
            except ConnectionError:
                return False
            received += data
            if READY in received:
                return True
            if not data:
                return False

    def wait(self) -> int:
        """Wait for its end; its exit code, negative where a signal killed it."""
        code = self._process.wait()
        self._socket.close()
        return code

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _forward(self, on_output: Callable[[str], None]) -> None:
        pipe = self._process.stdout
        if pipe is None:
            raise AssertionError
        with pipe:
            for line in pipe:
                on_output(line.decode(errors="replace").rstrip("\n"))


def ending(code: int) -> str:
    """How a process ended, for people."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = f" ({signal.Signals(-code).name})"
    except ValueError:
        name = ""
    return f"was killed by signal {-code}{name}"
