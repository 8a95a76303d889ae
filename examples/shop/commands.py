# The demo's `geartrain` commands, each printed as it would be typed.
from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path


def geartrain(*words):
    """Run a command to its end."""
    subprocess.run(_command(words), check=True)


class Background:
    """A command that goes on until it is stopped.

    Args:
        words: its arguments.
        line: called with each line that it prints.
    """

    def __init__(self, *words, line=print):
        self._line = line
        self._ready = threading.Event()
        self._process = subprocess.Popen(_command(words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def at_work(self):
        """Whether it has printed `ready` and has not ended."""
        return self._ready.is_set() and self._process.poll() is None

    def wait_ready(self):
        while not self._ready.wait(0.1):
            if self._process.poll() is not None:
                raise SystemExit("a command of the demo ended early")

    def _read(self):
        with self._process.stdout as output:
            for line in output:
                self._line(line.rstrip("\n"))
                if line == "ready\n":
                    self._ready.set()

    def ask(self):
        """Ask it to stop, as Ctrl-C does."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def stop(self):
        """Stop it; its exit code."""
        self.ask()
        code = self._process.wait(40)
        self._reader.join()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _command(words):
    print("$ geartrain", *map(_short, words), flush=True)
    return [sys.executable, "-m", "geartrain", *map(str, words)]


def _short(word):
    if isinstance(word, Path) and word.is_relative_to(Path.cwd()):
        return word.relative_to(Path.cwd())
    return word
