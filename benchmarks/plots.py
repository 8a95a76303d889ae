"""Draws charts as SVG: the same figures give the same bytes, text stays text, files stay small."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.charts import Bars, Chart, Lines

_STYLE = {
    "svg.hashsalt": "geartrain",  # ids in the file do not change from run to run
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
}

_OURS, _OTHERS = "#1b6ca8", "#a9b4bd"

_WIDTH = 7.2
"""Inches."""


def draw(charts: Iterable[Chart], folder: Path) -> list[Path]:
    """Write one file for each chart; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_draw(chart, folder / f"{chart.name}.svg") for chart in charts]


def _draw(chart: Chart, path: Path) -> Path:
    with mpl.rc_context(_STYLE):
        height = 0.9 + 0.3 * len(chart.bars) if isinstance(chart, Bars) else 3.4
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(chart.title)
        if isinstance(chart, Bars):
            _bars(axes, chart)
        else:
            _lines(axes, chart)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    return path


def _bars(axes: Axes, chart: Bars) -> None:
    names = list(chart.bars)
    middle = [median(chart.bars[name]) for name in names]
    below = [value - min(chart.bars[name]) for name, value in zip(names, middle, strict=True)]
    above = [max(chart.bars[name]) - value for name, value in zip(names, middle, strict=True)]
    colors = [_OURS if _is_ours(name) else _OTHERS for name in names]
    axes.barh(names, middle, xerr=(below, above), color=colors, height=0.7, error_kw={"lw": 0.8, "ecolor": "#444444"})
    axes.invert_yaxis()
    axes.set_xlabel(chart.unit)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(FuncFormatter(_number))


def _lines(axes: Axes, chart: Lines) -> None:
    for name, points in chart.lines.items():
        style = "-" if _is_ours(name) else "--"
        axes.plot(*zip(*points, strict=True), style, marker="o", markersize=3, linewidth=1.4, label=name)
    axes.set_xlabel(chart.x)
    axes.set_ylabel(chart.y)
    if "x" in chart.log:
        axes.set_xscale("log")
    if "y" in chart.log:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        # Within little more than a decade, powers of ten are too few marks.
        axes.yaxis.set_minor_formatter(FuncFormatter(_number) if high < 20 * low else NullFormatter())
    else:
        axes.set_ylim(bottom=0)
    if chart.labels:
        axes.set_xticks(range(len(chart.labels)), chart.labels)
    else:
        axes.xaxis.set_major_formatter(FuncFormatter(_number))
    axes.yaxis.set_major_formatter(FuncFormatter(_number))
    axes.legend(frameon=False, fontsize=8)


def _is_ours(name: str) -> bool:
    return name.startswith("Geartrain")


def _number(value: float, _position: int) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"
