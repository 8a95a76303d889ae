"""Running a script's source in this process.

The script is a module of its own while it runs: `sys.path[0]` is its directory; the names of the specification are
there without import, and so is the module `redisgears` for those that import it. Afterwards that module, and those that
it imported from its directory, are forgotten again: the next script may have a `helpers` of its own, and functions of a
module that cannot be imported are pickled by value.
"""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

from geartrain.errors import NeedsModule, RequirementsError, ScriptError, ServerUnavailable
from geartrain.pipeline.describe import user_trace
from geartrain.runtime.names import NAMES, installed


@dataclass(frozen=True, slots=True)
class Script:
    """A script's source.

    Attributes:
        source: its text.
        path: where it is, as tracebacks show it; a name in angle brackets where it is no file.
    """

    source: str
    path: str

    @property
    def directory(self) -> Path | None:
        """Its directory; None where it is no file."""
        return None if self.path.startswith("<") else Path(self.path).resolve().parent

    @property
    def stem(self) -> str:
        """Its name without directory and extension."""
        return Path(self.path.strip("<>")).stem

    @property
    def module(self) -> str:
        """The name of its module while it runs."""
        return f"geartrain script {self.stem}"


@contextmanager
def executed(script: Script) -> Iterator[list[ModuleType]]:
    """Run a script; inside the block, the modules that it is made of are still importable and are given.

    Raises:
        ScriptError: the script raised, or ended itself.
        ServerUnavailable, NeedsModule, RequirementsError: raised by the script's calls; no fault of its own.
    """
    module = ModuleType(script.module)
    module.__dict__.update(NAMES, __file__=script.path, __builtins__=__builtins__)
    before = set(sys.modules)
    # Dataclasses and typing look a class's module up here.
    sys.modules[module.__name__] = module
    with _importable(script.directory), installed():
        try:
            _execute(script, module)
            yield modules_of(script)
        finally:
            del sys.modules[module.__name__]
            for other in own_modules(script.directory):
                if other.__name__ not in before:
                    sys.modules.pop(other.__name__, None)


def modules_of(script: Script) -> list[ModuleType]:
    """The modules that a running script is made of so far: itself, and those of its directory."""
    return [sys.modules[script.module], *own_modules(script.directory)]


def own_modules(directory: Path | None) -> list[ModuleType]:
    """Imported modules that are files below `directory`, as if imported from there: workers may lack them."""
    if directory is None:
        return []
    return [
        module
        for name, module in list(sys.modules.items())
        if isinstance(module, ModuleType) and name == module.__name__ and _lies_in(module, directory)
    ]


def _lies_in(module: ModuleType, directory: Path) -> bool:
    name = module.__name__
    file = getattr(module, "__file__", None)
    if name == "__main__" or name.partition(".")[0] == "geartrain" or not isinstance(file, str):
        return False
    place = directory.joinpath(*name.split("."))
    return Path(file).resolve() in {place.with_name(f"{place.name}.py"), place / "__init__.py"}


@contextmanager
def _importable(directory: Path | None) -> Iterator[None]:
    """Make a directory the first one that imports look in."""
    if directory is None:
        yield
        return
    importlib.invalidate_caches()
    sys.path.insert(0, str(directory))
    try:
        yield
    finally:
        if str(directory) in sys.path:
            sys.path.remove(str(directory))


def _execute(script: Script, module: ModuleType) -> None:
    try:
        exec(_compiled(script), module.__dict__)  # noqa: S102 - running the user's script is what this is for
    except (ServerUnavailable, NeedsModule, RequirementsError):
        raise
    except SystemExit as error:
        code = "" if error.code is None else f" with {error.code!r}"
        raise ScriptError(
            f"{script.path} ended itself{code} (sys.exit()); nothing was submitted. A script runs to its end"
        ) from error
    except Exception as error:
        raise ScriptError(f"{script.path} raised {type(error).__name__}: {error}", user_trace(error)) from error


def _compiled(script: Script) -> CodeType:
    if script.directory is None:
        # So that tracebacks can show the lines.
        lines = script.source.splitlines(keepends=True)
        linecache.cache[script.path] = (len(script.source), None, lines, script.path)
    # `dont_inherit`: this module's __future__ imports are not the script's.
    return compile(script.source, script.path, "exec", dont_inherit=True)
