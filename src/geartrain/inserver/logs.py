"""Where output goes: `log()`, `logging`, `print` and warnings all become lines of the server's log."""

from __future__ import annotations

import io
import logging
import sys

import _geartrain

LONGEST = 1000
"""Characters of a line that are written; the server itself cuts at about as many."""


def say(level: str, text: str) -> None:
    """Write a line; what the server's log cannot show is escaped, and what is too long is cut."""
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}... ({len(text)} characters)"
    _geartrain.log(level, text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0"))


class ServerLog(logging.Handler):
    """Takes the records of `logging` to the server's log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write each line of the record."""
        try:
            level = "warning" if record.levelno >= logging.WARNING else _quiet(record.levelno)
            for line in self.format(record).splitlines():
                say(level, line)
        except Exception:  # noqa: BLE001 - a line that cannot be formatted; logging's own way to tell of it
            self.handleError(record)


def _quiet(level: int) -> str:
    return "notice" if level >= logging.INFO else "debug"


class Lines(io.TextIOBase):
    """A text file whose lines go to the server's log.

    Args:
        level: of its lines.
    """

    def __init__(self, level: str) -> None:
        self._level = level
        self._begun = ""

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """Write the lines that are whole; the rest waits for its end."""
        *whole, rest = (self._begun + text).split("\n")
        for line in whole:
            say(self._level, line)
        if len(rest) > LONGEST:
            say(self._level, rest)
            rest = ""
        self._begun = rest
        return len(text)


def redirect() -> None:
    """Take all output of this process's Python code to the server's log."""
    sys.stdout = Lines("notice")
    sys.stderr = Lines("warning")
    logging.basicConfig(handlers=[ServerLog()], format="%(message)s", force=True)
    logging.getLogger("geartrain").setLevel(logging.DEBUG)
    logging.captureWarnings(capture=True)
