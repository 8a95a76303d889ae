"""Charts of benchmarks."""

from __future__ import annotations

import pytest

from benchmarks.charts import Bars, Lines

plots = pytest.importorskip("benchmarks.plots", reason="matplotlib is not installed", exc_type=ImportError)

BARS = Bars("speed", "Speed", "records/s", {"Geartrain, batch 1": [1.0, 3.0, 2.0], "a loop": [1.0, 1.0, 1.0]})
LINES = Lines("delay", "Delay", "", "microseconds", {"Geartrain": [(0, 1.0), (1, 20.0)]}, ("p50", "p99"), log="y")


def test_the_same_figures_give_the_same_file(tmp_path):
    """Otherwise each run would change every chart of the page."""
    first, second = (plots.draw([BARS, LINES], tmp_path / name) for name in ("first", "second"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_chart_is_small_and_its_text_is_text(tmp_path):
    """It is kept in the repository, and is to be found by a search."""
    for path in plots.draw([BARS, LINES], tmp_path):
        text = path.read_text()
        assert "Geartrain" in text
        assert len(text) < 30_000
