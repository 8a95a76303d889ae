"""Runs the programs of `benchmarks.peers`, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.suite import Broken

ROOT = Path(__file__).resolve().parent.parent.parent

OWN_ENVIRONMENT = Path(sys.prefix) / "peers" / "bin" / "python"
"""The Python of peers that need an older redis-py than we have; `make bench` makes it of `peers/requirements.txt`."""


def answer(module: str, *args: object, python: Path | None = None) -> Any:
    """The JSON that a program prints at its end.

    Raises:
        Broken: it failed.
    """
    command = _command(module, args, python)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken(f"{module}: exit code {done.returncode}: {_last_line(done.stderr)}")
    return json.loads(done.stdout)


@contextmanager
def running(module: str, *args: object, python: Path | None = None) -> Iterator[Callable[[], bool]]:
    """Have a program running; gives whether it still does, which raises once it does not.

    Raises:
        Broken: when asked after it has ended by itself.
    """
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(_command(module, args, python), cwd=ROOT, stdout=errors, stderr=errors)

        def alive() -> bool:
            if process.poll() is not None:
                errors.seek(0)
                raise Broken(f"{module}: ended with exit code {process.returncode}: {_last_line(errors.read())}")
            return True

        try:
            yield alive
        finally:
            process.kill()
            process.wait()


def _command(module: str, args: tuple[object, ...], python: Path | None) -> list[str]:
    if python is not None and not python.exists():
        raise Broken(f"{module}: its environment is not there (`make bench` makes it)")
    return [str(python or sys.executable), "-m", f"benchmarks.peers.{module}", *map(str, args)]


def _last_line(output: str) -> str:
    """What an error says; its traceback is of no use on a page, nor are this machine's paths."""
    lines = output.strip().replace(f"{sys.prefix}/", "").replace(f"{ROOT}/", "").splitlines()
    return lines[-1][:200] if lines else "no output"
