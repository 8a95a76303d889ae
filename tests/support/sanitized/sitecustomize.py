"""What Python begins with under sanitizers: the extension that GEARTRAIN_EXTENSION names, whichever is installed.

An editable installation finds its own one before all that is on PYTHONPATH.
"""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location

NAME = "_geartrain_records"


def _load(path: str) -> None:
    spec = spec_from_file_location(NAME, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[NAME] = module


try:
    _load(os.environ["GEARTRAIN_EXTENSION"])
except Exception as error:
    # Python would go on, with the extension that is installed.
    raise SystemExit(f"the extension cannot be loaded: {error!r}") from error
