"""`main()`: runs a subcommand and turns whatever happens into an exit code and a message for people.

| code | meaning |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong use: an option or argument that is not allowed |
| 3 | the server is not reachable |
| 130 | interrupted (Ctrl-C) |

Nobody sees a traceback of ours: that of a bug goes to a file, or to standard error with GEARTRAIN_DEBUG=1.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence

import click

from geartrain.cli.app import app
from geartrain.cli.output import note
from geartrain.errors import ArgumentError, GeartrainError, InternalError, ServerUnavailable

DONE, FAILED, WRONG_USE, NOT_REACHABLE, INTERRUPTED = 0, 1, 2, 3, 130

DEBUG_VARIABLE = "GEARTRAIN_DEBUG"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `geartrain ARGUMENTS` (default: this process's); returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Users' text may hold what cannot be encoded (a lone surrogate, say); what it looks like is `\udcff`.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output is gone (`geartrain ls | head -1`): nothing to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        outcome = app.main(args=arguments, prog_name="geartrain", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return WRONG_USE if isinstance(error, click.UsageError) else FAILED
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except InternalError as error:
        return _bug(error)
    except GeartrainError as error:
        return _failed(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, no user sees a traceback of ours
        return _bug(error)
    return outcome if isinstance(outcome, int) else DONE


def _failed(error: GeartrainError) -> int:
    trace = getattr(error, "trace", None)
    if isinstance(trace, str) and trace:
        click.echo(trace.rstrip("\n"), err=True)
    note(str(error))
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    if isinstance(error, ServerUnavailable):
        return NOT_REACHABLE
    return WRONG_USE if isinstance(error, ArgumentError) else FAILED


def _bug(error: Exception) -> int:
    """Report a bug of ours in one line; the traceback where the user asks for it."""
    what = f"a bug in Geartrain, not in your script: {type(error).__name__}: {error}"
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
        note(what)
        return FAILED
    try:
        with tempfile.NamedTemporaryFile("w", prefix="geartrain-bug-", suffix=".txt", delete=False) as file:
            traceback.print_exception(error, file=file)
        where = f"the traceback is in {file.name}"
    except OSError:
        where = f"{DEBUG_VARIABLE}=1 shows the traceback"
    note(f"{what} ({where}; please report it)")
    return FAILED
