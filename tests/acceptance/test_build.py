"""What `pip install` makes of a clone: with a C compiler, and without one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import environment

ROOT = Path(__file__).resolve().parents[2]

# pip makes an environment for the build, from the index.
pytestmark = pytest.mark.timeout(300)


def install(target, **env):
    """Install the clone into a folder; returns the wheel's tag."""
    # A copy: pip reads the whole folder, and other tests write into it.
    clone = target.with_name("clone")
    ignored = shutil.ignore_patterns(".*", "build", "__pycache__")
    shutil.copytree(ROOT, clone, ignore=ignored)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target, clone]
    subprocess.run(command, env={**os.environ, **env}, check=True)
    (wheel,) = target.glob("geartrain-*.dist-info/WHEEL")
    return next(line for line in wheel.read_text().splitlines() if line.startswith("Tag: "))


def module(target):
    """Run the installed `geartrain module`."""
    return subprocess.run(
        [sys.executable, "-m", "geartrain", "module"],
        env=environment({"PYTHONPATH": str(target)}),
        cwd=target,
        capture_output=True,
        text=True,
        check=False,
    )


def extension(target):
    """The file of the extension that the installed package finds, or None."""
    # `-S`: this environment's own one would be found first.
    code = (
        f"import runpy, sys; sys.path.append({str(target)!r});"
        f" found = runpy.run_path({str(target / 'geartrain' / 'extension.py')!r})['extension'];"
        " print(found and found.__file__)"
    )
    command = [sys.executable, "-I", "-S", "-c", code]
    found = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout.strip()
    return None if found == "None" else Path(found)


def test_with_a_compiler_the_package_has_the_module(tmp_path):
    """In a folder of its own, and the extension beside the package, in a wheel for every Python of this platform."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    target = tmp_path / "installed"
    tag = install(target)
    assert tag.startswith("Tag: cp311-abi3-")
    assert [path.name for path in (target / "geartrain" / "native").iterdir()] == ["geartrain.so"]
    assert os.access(target / "geartrain" / "native" / "geartrain.so", os.X_OK), "servers refuse it otherwise"
    assert module(target).stdout == f"{target / 'geartrain' / 'native' / 'geartrain.so'}\n"
    assert extension(target) == target / "_geartrain_records.abi3.so"


@pytest.mark.parametrize(("name", "value"), [("CC", "/nonexistent"), ("GEARTRAIN_WITHOUT_MODULE", "1")])
def test_without_a_compiler_everything_else_is_installed(tmp_path, name, value):
    """The installation succeeds, and what needs the module says what to do; records are made in Python."""
    target = tmp_path / "installed"
    tag = install(target, **{name: value})
    assert tag == "Tag: py3-none-any" if name == "GEARTRAIN_WITHOUT_MODULE" else tag.startswith("Tag: cp311-abi3-")
    assert not (target / "geartrain" / "native").exists()
    assert extension(target) is None
    done = module(target)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the server module is not installed" in done.stderr
    assert "pip install --force-reinstall" in done.stderr
