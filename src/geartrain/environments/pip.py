"""Runs pip, and what else makes an environment: watched, and ended where it does not go on.

pip is this process's own, run for the other interpreter (`--python`): an environment has none, and is made in 0.1 s
instead of 3 s. It runs with the machine's own configuration (index, proxy, certificates); what would install elsewhere,
or not at all, is taken out of its environment variables.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

MAX_IDLE = 120.0
"""Seconds without any progress after which it is ended."""

OUTPUT = 20_000
"""Characters of output that are kept, the last ones."""

_POLL_MS = 200
_LOOK = 1.0
"""Seconds between two looks at whether files grow, while nothing is said."""

_NOT_FOR_PIP = {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE"} | {
    f"PIP_{name}" for name in ("USER", "TARGET", "PREFIX", "ROOT", "PYTHON", "DRY_RUN", "REPORT", "REQUIREMENT")
}


class Run:
    """A command, run in a folder.

    Args:
        folder: where it runs, and what it makes; its temporary files are there too.
        max_idle: seconds without output, and without any growth of the folder, after which it is ended.
        cancelled: asked several times a second whether to end it.

    Attributes:
        output: of all commands so far, the end of it.
    """

    def __init__(self, folder: Path, max_idle: float, cancelled: Callable[[], bool]) -> None:
        self.output = ""
        self._folder = folder
        self._max_idle = max_idle
        self._cancelled = cancelled

    def __call__(self, command: Sequence[str]) -> str | None:
        """Run a command to its end; None, or why that was none."""
        (self._folder / "tmp").mkdir(exist_ok=True)
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter; requirements are no options
                command,
                cwd=self._folder,
                env=_environment(self._folder / "tmp"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # what it starts is ended with it
            )
        except OSError as error:
            return f"{command[0]} cannot be started: {error}"
        try:
            why = self._watch(process)
        finally:
            _end(process)
        return why or (f"it ended with exit code {process.returncode}" if process.returncode else None)

    def _watch(self, process: subprocess.Popen[bytes]) -> str | None:
        if process.stdout is None:
            raise AssertionError
        descriptor = process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        progress = time.monotonic()
        looked, size = progress, 0
        while True:
            if poll.poll(_POLL_MS):
                data = os.read(descriptor, 65536)
                if not data:
                    process.wait()
                    return None
                self.output = (self.output + data.decode(errors="replace"))[-OUTPUT:]
                progress = time.monotonic()
            elif process.poll() is not None:
                # Something that it has started holds the pipe.
                return None
            if self._cancelled():
                return "it was given up"
            now = time.monotonic()
            if now > max(progress, looked) + _LOOK:
                looked, before, size = now, size, _size(self._folder)
                progress = now if size != before else progress
            if now > progress + self._max_idle:
                return f"nothing went on for {self._max_idle:g} s, and it was ended"


def _size(folder: Path) -> int:
    """Bytes and files below: any change is progress."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(f"{path}/{name}").st_size + 1
    return total


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what still runs of it, and wait."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _environment(temporary: Path) -> Mapping[str, str]:
    """This process's, without secrets of ours (packages' setup scripts run with it) and what would lead pip astray."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _NOT_FOR_PIP and not name.startswith("GEARTRAIN_")
    }
    return kept | {"TMPDIR": str(temporary), "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
