"""The command line interface as users start it: a process of its own, its output captured, ended by its pid."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

from support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping

GEARTRAIN = Path(sys.executable).with_name("geartrain")
"""The command, as it is installed."""


class CapturedProcess:
    """A process whose output is read as it comes.

    Args:
        command: the executable and its arguments.
        env: added to this process's environment, without its GEARTRAIN_* variables.
        cwd: where it runs.
    """

    def __init__(self, *command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
        self.command = [str(word) for word in command]
        self._out: list[str] = []
        self._err: list[str] = []
        self._process = subprocess.Popen(
            self.command,
            env=environment(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # so that its own children can be ended with it
        )
        self._readers = [
            threading.Thread(target=_collect, args=(pipe, lines), daemon=True)
            for pipe, lines in ((self._process.stdout, self._out), (self._process.stderr, self._err))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def stdout(self) -> str:
        """Its standard output so far, in whole lines."""
        return "".join(list(self._out))

    @property
    def stderr(self) -> str:
        """Its standard error so far, in whole lines."""
        return "".join(list(self._err))

    def wait_for_line(self, pattern: str, timeout: float = 20) -> re.Match[str]:
        """Wait for a line of output that `pattern` (a regular expression) is found in.

        Raises:
            AssertionError: no such line within `timeout` seconds, or it ended without one; with all of its output.
        """

        def found() -> re.Match[str] | None:
            ended = not self.running
            if ended:
                self._join()
            for line in [*self._out, *self._err]:
                match = re.search(pattern, line.rstrip("\n"))
                if match:
                    return match
            assert not ended, f"ended with {self._process.returncode} without a line like {pattern!r}\n{self}"
            return None

        try:
            match = wait_for(found, timeout)
        except AssertionError as error:
            raise AssertionError(f"no line like {pattern!r}: {error}\n{self}") from error
        assert match is not None
        return match

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self, timeout: float = 20) -> int:
        """Wait for its end; its exit code.

        Raises:
            AssertionError: it did not end within `timeout` seconds.
        """
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"did not end within {timeout:g} s\n{self}") from error
        self._join()
        return code

    def terminate(self, timeout: float = 20) -> int:
        """Ask it to stop (SIGTERM) and wait; its exit code."""
        self.send(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> None:
        """End it at once (SIGKILL), and what it started in its session. May be called again."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._join()

    def _join(self) -> None:
        for reader in self._readers:
            reader.join(timeout=5)

    def __str__(self) -> str:
        return f"{' '.join(self.command)}\n--- stdout\n{self.stdout}--- stderr\n{self.stderr}---"


def run_cli(
    *arguments: str | Path,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 30,
) -> subprocess.CompletedProcess[str]:
    """Run `geartrain ARGUMENTS` to its end; the exit code and the output are in the result."""
    return subprocess.run(
        [GEARTRAIN, *arguments],
        env=environment(env),
        cwd=cwd,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would change Geartrain's defaults, and `extra`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GEARTRAIN_")} | dict(extra or {})


def _collect(pipe: IO[str] | None, lines: list[str]) -> None:
    assert pipe is not None
    with pipe:
        for line in pipe:
            lines.append(line)  # noqa: PERF402 - each line is to be seen as soon as it is there
