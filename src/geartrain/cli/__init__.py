"""The command line. Thin: what it does can be done by programs with `geartrain.Client` too."""

from __future__ import annotations

from geartrain.cli.entry import main

__all__ = ["main"]
