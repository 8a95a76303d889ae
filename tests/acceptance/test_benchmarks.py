"""The benchmarks' command line. That figures are reached is no test: `make bench-gates` says it, on a quiet machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the extra `bench` is not installed")

ROOT = Path(__file__).parents[2]


def bench(*args):
    """Run it to its end."""
    command = [sys.executable, "-m", "benchmarks", *map(str, args)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("valkey")
@pytest.mark.timeout(180)
def test_a_benchmark_runs_and_writes_its_page_and_its_charts(tmp_path):
    """At sizes at which the figures say nothing."""
    done = bench("--quick", "--only", "setexample", "--markdown", tmp_path / "page.md")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.md").read_text()
    assert "one SET for each record (gate)" in page
    assert "Traps:\n\n* " in page
    assert (tmp_path / "page" / "setexample.svg").exists()
    assert "(page/setexample.svg)" in page


def test_a_benchmark_that_does_not_exist_is_refused_with_those_that_do():
    """Before anything runs."""
    done = bench("--only", "throughput,speed")
    assert done.returncode == 2
    assert "speed: no benchmark; there are throughput, " in done.stderr
