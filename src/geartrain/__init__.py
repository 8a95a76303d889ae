"""Geartrain: Python functions on data at the moment it arrives in Redis or Valkey."""

from __future__ import annotations

from importlib.metadata import version as _version

__version__ = _version("geartrain")
