"""Makes an environment, once for all workers of a machine.

1. The lock: who comes while another process makes it waits, and takes what that one made, or its failure.
2. An empty virtual environment of this process's Python, in a directory that nothing refers to yet.
3. pip installs the requirements into it, as if nothing else was installed. Not where this process has all of them, in
   fitting versions, and nobody asked to install them anew: then they are borrowed, as step 5 does, without any network.
4. What Geartrain itself imports, in versions that it does not work with, is taken out again: step 5 gives it ours. A
   requirement that wants an old redis-py would otherwise cost the worker its connection.
5. A .pth file puts this process's own packages behind those of the environment: Geartrain, and what it needs.
6. The interpreter is asked to import a worker. Only then state.json refers to the directory.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import site
import socket
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distributions, requires
from pathlib import Path

from packaging.utils import canonicalize_name

from geartrain.environments.constraints import constraints_of
from geartrain.environments.installed import applying, borrowed_wheels, file_of, missing
from geartrain.environments.pip import MAX_IDLE, Run
from geartrain.environments.place import DIRECTORY_VARIABLE, WHEELS_VARIABLE, Place, State, Status, Wheel, root
from geartrain.errors import RequirementsError

logger = logging.getLogger("geartrain.environments")

_EXPIRES = 30 * 24 * 3600.0
"""Seconds after its last use that an environment is removed, when another one is made."""

_SHOWN = 5
"""Lines of pip's output in a message; `RequirementsError.output` has more."""


class Cancelled(Exception):
    """The caller gave up."""


def make(
    environment: str,
    requirements: tuple[str, ...],
    *,
    max_idle: float = MAX_IDLE,
    again: bool = True,
    cancelled: Callable[[], bool] = bool,
) -> Status:
    """Make an environment on this machine, unless it is there; takes seconds, or minutes.

    Args:
        environment: its name, as `environment_of` gave it.
        requirements: normalised.
        max_idle: seconds that pip may go on without any progress.
        again: whether to try again where it has failed before.
        cancelled: asked several times a second whether to give up.

    Raises:
        RequirementsError: it cannot be made; its `output` is pip's.
        Cancelled: `cancelled` said so.
    """
    asked = time.time()
    place = Place(environment)
    try:
        with place.locked(cancelled) as is_mine:
            if not is_mine:
                raise Cancelled
            status = place.read()
            if status.state is State.READY:
                place.touch()
                return status
            if status.state is not State.FAILED or (again and status.since < asked):
                status = _made(place, requirements, max_idle, cancelled)
                place.write(status)
    except OSError as error:
        raise RequirementsError(
            f"the environment of {_listed(requirements)} cannot be made in {place.path}: {error}; {DIRECTORY_VARIABLE}"
            " names another directory"
        ) from error
    if status.state is State.FAILED:
        raise RequirementsError(status.message, status.output)
    _remove_expired(place)
    return status


def _made(place: Place, requirements: tuple[str, ...], max_idle: float, cancelled: Callable[[], bool]) -> Status:
    """What became of an attempt."""
    folder = _new_folder(place)
    logger.info("environment %s: installing %s", place.environment, _listed(requirements))
    run = Run(folder, max_idle, cancelled)
    why = _create(folder)
    borrowed = "-" not in place.environment and not missing(requirements)
    if not why and not borrowed:
        why = _install(folder, requirements, run)
    wheels = () if why else borrowed_wheels(requirements) if borrowed else _wheels(folder)
    why = why or _borrow(folder, run)
    if cancelled() and why:
        shutil.rmtree(folder, ignore_errors=True)
        raise Cancelled
    if why:
        shutil.rmtree(folder, ignore_errors=True)
        message = f"{_listed(requirements)} cannot be installed on {socket.gethostname()}: {why}{_reason(run.output)}"
        return Status(
            environment=place.environment,
            state=State.FAILED,
            requirements=requirements,
            since=time.time(),
            message=message,
            output=run.output,
        )
    shutil.rmtree(folder / "tmp", ignore_errors=True)
    return Status(
        environment=place.environment,
        state=State.READY,
        requirements=requirements,
        since=time.time(),
        directory=folder.name,
        output=run.output,
        wheels=wheels,
    )


def _new_folder(place: Place) -> Path:
    """A directory that was never there; removes what attempts that were broken off have left."""
    numbers = [int(item.name) for item in place.path.iterdir() if item.name.isdecimal()]
    for number in numbers:
        shutil.rmtree(place.path / str(number), ignore_errors=True)
    folder = place.path / str(max(numbers, default=0) + 1)
    folder.mkdir()
    return folder


def _create(folder: Path) -> str | None:
    """Step 2; None, or why not."""
    try:
        venv.EnvBuilder(symlinks=True, with_pip=not _has_pip()).create(folder)
    except (OSError, subprocess.CalledProcessError) as error:
        lacks = "" if _has_pip() else f"; {sys.executable} has no pip: install pip there, or Python's ensurepip"
        return f"no virtual environment can be made: {error}{lacks}"
    return None


def _install(folder: Path, requirements: Sequence[str], run: Run) -> str | None:
    """Step 3; None, or why not."""
    given = os.environ.get(WHEELS_VARIABLE)
    wheels = Path(given).absolute() if given else None
    offline = ["--no-index", "--find-links", str(wheels)] if wheels else []
    report = ["--report", str(folder / "report.json")]
    options = ["--no-warn-script-location", *offline, *report, *_constrained(folder, requirements)]
    wanted = [_found(item, wheels) for item in requirements]
    return run([*_pip(folder), "install", *options, "--", *wanted])


def _constrained(folder: Path, requirements: Sequence[str]) -> list[str]:
    constraints = constraints_of(requirements)
    if not constraints:
        return []
    file = folder / "constraints.txt"
    file.write_text("".join(f"{item}\n" for item in constraints), encoding="utf-8")
    return ["--constraint", str(file)]


def _found(requirement: str, wheels: Path | None) -> str:
    """A wheel's bare name is that of a file in the folder of wheels."""
    is_file = requirement.endswith((".whl", ".zip", ".tar.gz", ".tgz")) and "/" not in requirement
    return str(wheels / requirement) if is_file and wheels else requirement


def _has_pip() -> bool:
    return importlib.util.find_spec("pip") is not None


def _pip(folder: Path) -> list[str]:
    """How to call pip for a virtual environment."""
    python = str(folder / "bin" / "python")
    if _has_pip():
        return [sys.executable, "-I", "-m", "pip", "--python", python]
    return [python, "-I", "-m", "pip"]


def _wheels(folder: Path) -> tuple[Wheel, ...]:
    """What pip says that it installed."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    found = []
    for item in report["install"]:
        metadata = item["metadata"]
        file = file_of(item["download_info"]["url"])
        found.append(
            Wheel(
                canonicalize_name(metadata["name"]),
                metadata["version"],
                file if file.endswith((".whl", ".zip", ".gz", ".tgz")) else f"{metadata['name']}-{metadata['version']}",
                tuple(metadata.get("requires_dist", ())),
            )
        )
    return tuple(found)


def _borrow(folder: Path, run: Run) -> str | None:
    """Steps 4 to 6; None, or why not."""
    own = _site_packages(folder)
    unfit = _unfit(own)
    if unfit:
        why = run([*_pip(folder), "uninstall", "--yes", *unfit])
        if why:
            return f"{', '.join(unfit)} cannot be replaced by Geartrain's own: {why}"
    # One line, as such files are executed line by line.
    line = "; ".join(["import site", *(f"site.addsitedir({folder!a})" for folder in _lenders())])
    (own / "geartrain-behind.pth").write_text(f"{line}\n", encoding="ascii")
    why = run([str(folder / "bin" / "python"), "-P", "-c", "import geartrain.client, geartrain.worker.worker"])
    return f"Geartrain does not run beside them: {why}" if why else None


def _site_packages(folder: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))


def _unfit(own: Path) -> list[str]:
    """Packages of the environment that Geartrain needs in another version."""
    try:
        needed = {canonicalize_name(item.name): item.specifier for item in applying(requires("geartrain") or ())}
    except PackageNotFoundError:
        needed = {}
    found = {canonicalize_name(item.name): item.version for item in distributions(path=[str(own)])}
    unfit = [name for name, wanted in needed.items() if name in found and not wanted.contains(found[name], True)]
    return [*unfit, *({"geartrain"} & found.keys())]


def _lenders() -> list[str]:
    """Where this process has Geartrain, and what that needs, from."""
    folders = [*site.getsitepackages(), str(Path(__file__).parents[2])]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return [folder for folder in dict.fromkeys(folders) if Path(folder).is_dir()]


def _listed(requirements: Iterable[str]) -> str:
    return ", ".join(requirements)


def _reason(output: str) -> str:
    """The lines of pip's output that say most, in a line of their own each."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    chosen = (errors or lines)[-_SHOWN:]
    return "".join(f"\n  {line}" for line in chosen)


def _remove_expired(beside: Place) -> None:
    """Remove environments that nobody has used for long."""
    now = time.time()
    for path in root().iterdir():
        with suppress(OSError):
            if path != beside.path and now - (path / "state.json").stat().st_mtime > _EXPIRES:
                shutil.rmtree(path)
