"""Servers under AddressSanitizer and UndefinedBehaviorSanitizer: what `make test-sanitize` asks for.

The module is built with them, the server is not: the sanitizers' library has to be in the process before it
(LD_PRELOAD), and is told where to write what it finds. A script stands in for the server's executable and starts it so.

Before it comes a `dlopen` of our own, without a flag that the sanitizers cannot work with (shallow_dlopen.c).
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

REPORTS_VARIABLE = "GEARTRAIN_SANITIZER_REPORTS"
"""A folder for reports; set where the module of GEARTRAIN_MODULE is built with sanitizers."""

_OPTIONS = {
    # The server is not ours to check, nor is what it keeps until its end.
    "detect_leaks": "0",
    "verify_asan_link_order": "0",  # our dlopen comes first
    # A size that cannot be had is an answer to whoever asks (Python raises MemoryError), not a finding.
    "allocator_may_return_null": "1",
    "max_allocation_size_mb": "2048",
    # An exit, not an abort, which the server would answer with a crash report of its own.
    "abort_on_error": "0",
    "exitcode": "99",
    # Even where the server has a handler of its own for crashes: its report has no line numbers.
    "handle_segv": "2",
    "handle_sigbus": "2",
    "handle_sigfpe": "2",
    "handle_sigill": "2",
    "print_stacktrace": "1",
}


def reports_folder() -> Path | None:
    """Where reports are written; None: this run is without sanitizers."""
    named = os.environ.get(REPORTS_VARIABLE)
    return Path(named) if named else None


def sanitized(binary: Path, folder: Path) -> Path:
    """An executable that is `binary` with the sanitizers in it; `binary` itself in a run without them.

    Args:
        binary: a server.
        folder: where a script may be written.
    """
    reports = reports_folder()
    if reports is None:
        return binary
    options = ":".join(f"{name}={value}" for name, value in {**_OPTIONS, "log_path": str(reports / "report")}.items())
    environment = {
        "LD_PRELOAD": f"{_shallow_dlopen(folder)}:{_library()}",
        "ASAN_OPTIONS": options,
        "UBSAN_OPTIONS": options,
        "PYTHONMALLOC": "malloc",  # so that what Python frees is known to be free
    }
    script = folder / f"sanitized-{binary.name}"
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    # `exec`: the process that was started is the server.
    script.write_text(f'#!/bin/sh\n{settings} exec {shlex.quote(str(binary))} "$@"\n')
    script.chmod(0o755)
    return script


def check_reports() -> None:
    """Fail where a sanitizer has found something, with what it wrote.

    Raises:
        AssertionError: there is a report.
    """
    reports = reports_folder()
    found = sorted(reports.glob("report*")) if reports is not None else []
    text = "\n".join(path.read_text(errors="replace") for path in found)
    assert not found, f"a sanitizer reports, in {reports}:\n{text}"


def _shallow_dlopen(folder: Path) -> Path:
    """Our dlopen, compiled into the folder."""
    library = folder / "shallow_dlopen.so"
    source = Path(__file__).with_name("shallow_dlopen.c")
    subprocess.run([_compiler(), "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def _compiler() -> str:
    return os.environ.get("CC", "gcc")


def _library() -> Path:
    """The sanitizers' shared library, of the compiler that built the module."""
    command = [_compiler(), "-print-file-name=libasan.so"]
    library = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    assert library.is_absolute(), f"{shlex.join(command)} names no file: install the compiler's sanitizers (libasan)"
    return library
