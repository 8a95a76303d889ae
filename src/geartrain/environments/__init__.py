"""Environments: a virtual environment for each set of packages that sessions need, made by pip where workers run.

    requirements ──normalised──> environment (its name: their hash) ──make──> a directory of this machine ──> its Python

    requirements   what a script asks for: checked, in one spelling, hashed; files of them          (pure)
    constraints    what pip is to know of packages that nobody maintains any more                   (pure)
    place          where environments lie on this machine, and what is known about each
    pip            runs pip, and watches that it goes on
    making         makes one, once for all workers of the machine
    installed      what an environment, or this process, has installed

Nothing here knows a server or a registry.
"""

from __future__ import annotations

from geartrain.environments.installed import RequirementInfo, missing, refuse_sync, requirement_infos
from geartrain.environments.making import Cancelled, make
from geartrain.environments.place import (
    DIRECTORY_VARIABLE,
    WHEELS_VARIABLE,
    State,
    Status,
    python_of,
    status_of,
)
from geartrain.environments.requirements import PYTHON, environment_of, fits, latest_of, new_salt, normalised, read_file

__all__ = [
    "DIRECTORY_VARIABLE",
    "PYTHON",
    "WHEELS_VARIABLE",
    "Cancelled",
    "RequirementInfo",
    "State",
    "Status",
    "environment_of",
    "fits",
    "latest_of",
    "make",
    "missing",
    "new_salt",
    "normalised",
    "python_of",
    "read_file",
    "refuse_sync",
    "requirement_infos",
    "status_of",
]
